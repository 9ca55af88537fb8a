# The walk-through that the API promised first. These commands must keep working unchanged.

# Register and sign in
curl -s -X POST http://127.0.0.1:8000/api/v1/auth/register   -H "Content-Type: application/json"   -d '{"email":"test@example.com","password":"secret123"}'
TOKEN=$(curl -s -X POST http://127.0.0.1:8000/api/v1/auth/login   -H "Content-Type: application/x-www-form-urlencoded"   -d "username=test@example.com&password=secret123" | jq -r .access_token)

# Create a project
PROJECT_ID=$(curl -s -X POST http://127.0.0.1:8000/api/v1/projects/   -H "Authorization: Bearer $TOKEN"   -H "Content-Type: application/json"   -d '{"name":"payments","description":"payment service"}' | jq -r .id)

# Ask for an environment: provisioning → running, destroyed when its time is up
ENV_ID=$(curl -s -X POST http://127.0.0.1:8000/api/v1/environments/projects/$PROJECT_ID   -H "Authorization: Bearer $TOKEN"   -H "Content-Type: application/json"   -d '{"name":"preview-pr-123","type":"ephemeral","ttl_hours":24}' | jq -r .id)

# Ship a version into it; it waits until the environment runs: pending → running → succeeded
DEPLOYMENT_ID=$(curl -s -X POST http://127.0.0.1:8000/api/v1/deployments/environments/$ENV_ID   -H "Authorization: Bearer $TOKEN"   -H "Content-Type: application/json"   -d '{"version":"sha-1234567"}' | jq -r .id)

# Follow it
curl -s   -H "Authorization: Bearer $TOKEN"   http://127.0.0.1:8000/api/v1/deployments/$DEPLOYMENT_ID
curl -s   -H "Authorization: Bearer $TOKEN"   http://127.0.0.1:8000/api/v1/deployments/$DEPLOYMENT_ID/logs

# Give the environment back before its time
curl -s -X DELETE   -H "Authorization: Bearer $TOKEN"   http://127.0.0.1:8000/api/v1/environments/$ENV_ID
