"""Facts of the standard, no behaviour: attributes, UIDs, transfer syntaxes, SOP classes and status codes."""
