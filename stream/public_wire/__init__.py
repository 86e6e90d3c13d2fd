"""The public wire (docs/protocol.md): masks, scenes, frames and status as any program reads and writes them."""
