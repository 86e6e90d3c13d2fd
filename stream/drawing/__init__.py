"""How masks look: colours, states, points and trails, the same in the window, in files and in what the page sends."""
