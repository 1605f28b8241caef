"""`instore-edge check`: one module per thing that is tested."""
