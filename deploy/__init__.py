"""`make deploy` and `make undeploy`: Slipway in an AWS account, and out of it again."""
