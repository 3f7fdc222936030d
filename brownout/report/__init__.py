"""What people see of a run: the live progress, the verdict table, report.html and junit.xml."""
