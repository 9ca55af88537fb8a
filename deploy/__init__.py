"""`make deploy` and `make undeploy`: deploy Slipway to an AWS account, and remove it."""
