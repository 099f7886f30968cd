"""Where projects' files, the trash and blobs are kept."""
