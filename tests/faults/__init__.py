"""What becomes of objects when processes are killed, disks fill, clocks jump and destinations misbehave."""
