"""A bad PACS to practise on: an SCP that misbehaves as a scenario says, to test senders, and to test the load tester.

What it does is decided without IO, by the seed and the time that it is told (`behaviour`, `stalls`, `distributions`,
`faults`); what does it stands beside that (`bad_pacs`, `answering`, `slow`).
"""
