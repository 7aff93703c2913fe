import pytest

from seq2seq.text.names import has_name, names_not_learnt


def names(text: str, language: str = "en", learnt: tuple[str, ...] = ()) -> list[str]:
    found = names_not_learnt(text, language, lambda word: 1 if word in learnt else 4)
    return [name[0] for name in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Smith lives in Orakei.", ["Smith", "Orakei"]),
        ("I met Mrs. O'Brien in Wagga Wagga.", ["O'Brien", "Wagga", "Wagga"]),
        ("The train to Ulan-Ude, Łódź and \U000f0001Zwolle\U000f0001 is late.",
         ["Ulan-Ude", "Łódź", "Zwolle"]),
        ("Orakei is a suburb.", []),  # it begins the sentence
        ("This is Orakei's harbour.", []),  # a genitive is built anew in another language
        ("I think NASA and I agree.", []),
        ("The Winds Of Orakei Are Cold", []),  # a headline shows no names
    ],
)  # fmt: skip
def test_a_name_is_a_word_with_a_capital_inside_a_sentence(text: str, expected: list[str]) -> None:
    assert names(text) == expected


def test_a_name_of_few_subwords_is_learnt() -> None:
    assert names("We went from London to Orakei.", learnt=("London",)) == ["Orakei"]


@pytest.mark.parametrize("language", ["de", "lb"])
def test_where_all_nouns_have_capitals_there_are_no_names(language: str) -> None:
    assert names("Ich sehe den Krankenwagenfahrer in Orakei.", language) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Er wohnt in Orakei.", True),
        ("Orakeis Hafen", True),
        ("Orakei's harbour", True),
        ("Er wohnt in Orakeika.", False),
        ("Er wohnt in Norakei.", False),
    ],
)
def test_a_translation_has_a_name_as_a_word(text: str, expected: bool) -> None:
    assert has_name(text, "Orakei") is expected
