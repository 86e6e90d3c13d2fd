"""Published weights: their table, their files, the device that they run on."""
