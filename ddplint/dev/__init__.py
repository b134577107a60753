"""The developers' own tools: ``python -m ddplint.dev``. They work on a checkout, not on an installed package."""
