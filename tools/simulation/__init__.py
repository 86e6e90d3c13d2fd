"""Many cameras on few devices in simulated time, served by the scheduler and the placement of `stream/scheduling`."""
