"""What HTTP asks and answers: routes, requests, responses, the OpenAPI document."""
