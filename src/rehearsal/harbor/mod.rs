//! A Harbor that answers as a real one does, and keeps nothing on disk.
