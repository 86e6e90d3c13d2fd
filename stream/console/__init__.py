"""What people see of a process: its log, its output, its arguments."""
