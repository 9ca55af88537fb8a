"""What Step Functions refuses in a definition in the Amazon States Language."""

from local.asl.definition import Problem, problems, refusal

__all__ = ["Problem", "problems", "refusal"]
