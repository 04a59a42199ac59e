"""What the tabs of long jobs share: progress, cancel, resume, and a visitor's own jobs."""
