"""How the stages talk: errors, messages, config, topology, transport, runtime and supervisor. Knows no model."""
