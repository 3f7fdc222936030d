"""What goes into a prompt: never too much, the best at its ends, and nothing is lost that fits."""

from hypothesis import given
from hypothesis import strategies as st

from target_stack.documents import Document
from target_stack.ladder import ModelClass, Source
from target_stack.packing import Packed, pack
from target_stack.prompt import messages_for, tokens_of
from target_stack.serving import Making, warnings_of

sizes = st.lists(st.integers(0, 40), max_size=12)


def documents(lengths: list[int]) -> list[Document]:
    """One for each length, in words, best first."""
    return [Document(id=str(rank), tenant="acme", title="", text="word " * n) for rank, n in enumerate(lengths)]


def words(document: Document) -> int:
    return len(document.text.split())


def packed(lengths: list[int], budget: int) -> Packed:
    return pack(documents(lengths), budget=budget, tokens_of=words)


def ranks(result: Packed) -> list[int]:
    return [int(document.id) for document in result.documents]


@given(lengths=sizes, budget=st.integers(0, 120))
def test_it_is_never_over_budget_and_says_how_full_it_is(lengths: list[int], budget: int) -> None:
    result = packed(lengths, budget)
    assert result.tokens == sum(map(words, result.documents)) <= budget


@given(lengths=sizes, budget=st.integers(0, 120))
def test_nothing_is_left_out_that_would_fit(lengths: list[int], budget: int) -> None:
    result = packed(lengths, budget)
    left_out = set(range(len(lengths))) - set(ranks(result))
    assert result.left_out == len(left_out)
    assert all(lengths[rank] > budget - result.tokens for rank in left_out)


@given(lengths=sizes, budget=st.integers(0, 120))
def test_a_better_document_is_never_left_out_for_a_worse_one(lengths: list[int], budget: int) -> None:
    chosen = set(ranks(packed(lengths, budget)))
    for rank in set(range(len(lengths))) - chosen:
        better = sum(lengths[other] for other in chosen if other < rank)
        assert better + lengths[rank] > budget


@given(lengths=sizes)
def test_the_best_comes_first_the_second_best_last_and_the_worst_in_the_middle(lengths: list[int]) -> None:
    order = ranks(packed(lengths, 1000))
    assert sorted(order) == list(range(len(lengths)))
    # Taken from both ends in turn, first the first one, they are ranked again.
    taken = [order.pop(0 if turn % 2 == 0 else -1) for turn in range(len(order))]
    assert taken == sorted(taken)


def test_five_documents_as_they_stand_in_a_prompt() -> None:
    assert ranks(packed([1, 1, 1, 1, 1], 10)) == [0, 2, 4, 3, 1]
    assert ranks(packed([4, 9, 4], 8)) == [0, 2]


def test_a_document_counts_as_many_tokens_as_it_has_in_the_prompt() -> None:
    both = [
        Document(id="a b", tenant="acme", title="Two words", text="Some of the text."),
        Document(id="c", tenant="acme", title="", text="More."),
    ]
    prompt = messages_for([], both)[0].text
    start = prompt.index("<document")
    assert sum(map(tokens_of, both)) == len(prompt[start:].split())


def test_an_answer_without_some_of_its_documents_says_so() -> None:
    def warnings(*, documents: int, left_out: int = 0) -> tuple[str, ...]:
        making = Making(source=Source.FRESH, model=ModelClass.MAIN, documents=documents, left_out=left_out)
        return warnings_of(making)

    assert warnings(documents=3) == ()
    assert warnings(documents=3, left_out=2) == ("2 documents that were found did not fit into the prompt.",)
    assert warnings(documents=0, left_out=1) == ("1 document that was found did not fit into the prompt.",)
    assert warnings(documents=0) == ("No document matches the question.",)
