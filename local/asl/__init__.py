"""The rules by which Step Functions refuses definitions in the Amazon States Language."""

from local.asl.definition import Problem, problems, refusal

__all__ = ["Problem", "problems", "refusal"]
