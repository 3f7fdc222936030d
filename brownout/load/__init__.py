"""Open-loop load: questions asked when they are due, and what became of each."""

from brownout.load.asker import Asker
from brownout.load.generator import Stream, arrivals, offer
from brownout.load.grading import CitedSentences, ExpectedFacts, Grade, Grader
from brownout.load.writer import Writer

__all__ = ["Asker", "CitedSentences", "ExpectedFacts", "Grade", "Grader", "Stream", "Writer", "arrivals", "offer"]
