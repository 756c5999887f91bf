"""Images: checked and cleaned by a separate program, kept on disk or in S3."""
