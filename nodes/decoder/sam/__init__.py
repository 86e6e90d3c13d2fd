"""SAM, HQ-SAM and MobileSAM, prompted as in the paper."""
