"""Images: checked and cleaned in a program apart, kept on disk or in S3."""
