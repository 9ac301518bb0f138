"""Avatars of several artists whose attributes are known: which of them a translation keeps."""
