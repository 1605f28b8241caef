"""`instore-edge audit`: the error of the box's visitors by what a person counts."""
