"""What every room needs: settings, errors, files, memory, progress, and how a process starts and ends."""
