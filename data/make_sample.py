"""Write the sample corpus: English and German sentences made by a small bilingual grammar.

    python data/make_sample.py --output data/sample --seed 1

Each sentence is drawn once as a `Clause`, a meaning without word order, and said in both languages.
`english` needs do-support and the progressive. `german` needs gender, case, adjective endings and
the verbal bracket: the finite verb stands second in a statement, first in a question and last in a
subordinate clause; infinitives, participles and separated particles close the clause.

No two pairs share either side, so the splits have no sentence in common.
"""

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal, Self, TypeVar

SIZES = {"train": 6000, "valid": 300, "test": 300}
SHORTEST, LONGEST = 4, 14  # words

Gender = Literal["m", "f", "n", "p"]  # p: plural, where German has one form for all genders
Case = Literal["nominative", "accusative", "dative", "genitive"]
Tense = Literal["present", "habit", "past", "future"]
Order = Literal["first", "second", "last"]  # where the finite verb stands
Pair = tuple[str, str]
T = TypeVar("T")


def join(*words: str) -> str:
    return " ".join(word for word in words if word)


def nth(forms: str, index: int) -> str:
    """One of several forms; `-` is none."""
    form = forms.split()[index]
    return "" if form == "-" else form


# --- Words and how they change -----------------------------------------------------------------

# Columns: masculine, feminine, neuter, plural.
ARTICLE: dict[Case, str] = {
    "nominative": "der die das die",
    "accusative": "den die das die",
    "dative": "dem der dem den",
    "genitive": "des der des der",
}
STRONG: dict[Case, str] = {  # of `dieser`, and of an adjective without a determiner
    "nominative": "er e es e",
    "accusative": "en e es e",
    "dative": "em er em en",
    "genitive": "es er es er",
}
EIN = STRONG | {"nominative": "- e - e", "accusative": "en e - e"}  # of `ein`, `kein`, `mein`
WEAK: dict[Case, str] = {  # of an adjective after `der` and `dieser`
    "nominative": "e e e en",
    "accusative": "en e e en",
    "dative": "en en en en",
    "genitive": "en en en en",
}
MIXED = WEAK | {"nominative": "er e es en", "accusative": "en e es en"}  # of one after `ein`


@dataclass(frozen=True)
class Phrase:
    """Words that do not change."""

    en: str = ""
    de: str = ""


@dataclass(frozen=True)
class Noun:
    """`kinds` say what one can do with it and which adjectives fit."""

    en: str
    en_plural: str
    gender: Gender
    de: str
    de_plural: str
    kinds: frozenset[str]

    @classmethod
    def parse(cls, row: str) -> Self:
        """`boy boys | der Junge Jungen | person weak`"""
        english, german, kinds = (column.split() for column in row.split("|"))
        genders: dict[str, Gender] = {"der": "m", "die": "f", "das": "n"}
        article, word, plural = german
        return cls(english[0], english[1], genders[article], word, plural, frozenset(kinds))

    def german(self, case: Case, plural: bool) -> str:
        if plural:
            bare = case != "dative" or self.de_plural.endswith(("n", "s"))
            return self.de_plural if bare else self.de_plural + "n"
        if "weak" in self.kinds and case != "nominative":
            return self.de_plural  # der Junge, den Jungen
        if case == "genitive" and self.gender in "mn":
            vowels = sum(letter in "aeiouäöü" for letter in self.de.lower().replace("eu", "e"))
            return self.de + ("es" if vowels == 1 else "s")
        return self.de


@dataclass(frozen=True)
class Adjective:
    """`en_more` and `de_more` are the comparative, empty where one does not compare."""

    en: str
    de: str
    en_more: str
    de_more: str
    kinds: frozenset[str]

    @classmethod
    def parse(cls, row: str) -> Self:
        """`old alt older älter | thing person`"""
        words, kinds = (column.split() for column in row.split("|"))
        en, de, en_more, de_more = (word.strip("-").replace("_", " ") for word in words)
        return cls(en, de, en_more, de_more, frozenset(kinds))

    def german(self, ending: str) -> str:
        return self.de.replace("teuer", "teur") + ending


@dataclass(frozen=True)
class Verb:
    en: str
    en_third: str
    en_past: str
    en_ing: str
    en_particle: str
    de: str  # the infinitive without its particle
    de_second: str
    de_third: str
    participle: str
    particle: str
    auxiliary: str
    kinds: tuple[str, ...]
    preterite: str = ""  # where the past is not the perfect: war, hatte

    @classmethod
    def parse(cls, row: str) -> Self:
        """`pick picks picked picking +up | ab|holen holst holt abgeholt | relative`

        `+up` goes behind a pronoun, `~for` does not. `ist` at the end of the German forms is the
        auxiliary of the perfect. Of the kinds, `state` is a verb without progressive.
        """
        english, german, kinds = (column.split() for column in row.split(" | "))
        en, en_third, en_past, en_ing, *en_particle = english
        infinitive, second, third, participle, *ist = german
        particle, _, de = infinitive.rpartition("|")
        return cls(
            en, en_third, en_past, en_ing, "".join(en_particle),
            de, second, third, participle, particle, ist[0] if ist else "hat", tuple(kinds),
        )  # fmt: skip

    @property
    def stative(self) -> bool:
        return "state" in self.kinds

    @property
    def stem(self) -> str:
        return self.de[:-2] if self.de.endswith("en") else self.de[:-1]

    @property
    def imperative(self) -> str:
        if "i" not in self.stem and "i" in self.de_third:
            return self.de_third.removesuffix("t")  # geben, gibt: gib
        return self.stem + ("e" if self.stem.endswith(("t", "d", "er", "chn")) else "")

    def infinitive(self, zu: bool = False) -> str:
        if zu:
            return f"{self.particle}zu{self.de}" if self.particle else f"zu {self.de}"
        return self.particle + self.de

    def present(self, person: int) -> str:
        if self.de == "sein":
            return nth("bin bist ist sind", person)
        return (self.stem + "e", self.de_second, self.de_third, self.de)[person]


@dataclass(frozen=True)
class Modal:
    """A modal verb. `en_base` is what English says with an auxiliary (would *like to*)."""

    en: str
    en_past: str
    en_base: str
    auxiliary: bool
    de: str
    de_past: str


@dataclass(frozen=True)
class Time:
    en: str
    de: str
    before_verb: bool = False  # English `often` and its like


@dataclass(frozen=True)
class Determiner:
    en: str
    de: str
    en_plural: str = ""


@dataclass(frozen=True)
class NounPhrase:
    """A noun and what agrees with it. With an `owner`: my father's car, das Auto meines Vaters."""

    noun: Noun
    determiner: Determiner
    plural: bool = False
    adjective: Adjective | None = None
    owner: "NounPhrase | None" = None

    @property
    def gender(self) -> Gender:
        return "p" if self.plural else self.noun.gender

    @property
    def person(self) -> int:
        return 3 if self.plural else 2

    @property
    def definite(self) -> bool:
        return self.determiner not in (A, BARE)

    def english(self, case: Case = "nominative") -> str:
        noun = self.noun.en_plural if self.plural else self.noun.en
        words = join(self.adjective.en if self.adjective else "", noun)
        if self.owner:
            return f"{self.owner.english()}'s {words}"
        if self.determiner == A:
            return f"an {words}" if words[0] in "aeiou" else f"a {words}"
        return join((self.plural and self.determiner.en_plural) or self.determiner.en, words)

    def german(self, case: Case, negated: bool = False) -> str:
        """`negated` says an indefinite phrase with `kein`."""
        column = "mfnp".index(self.gender)
        word, endings = self.determiner.de, STRONG
        if negated:
            word, endings = "kein" + nth(EIN[case], column), MIXED
        elif self.determiner == THE:
            word, endings = nth(ARTICLE[case], column), WEAK
        elif self.determiner == THIS:
            word, endings = word + nth(STRONG[case], column), WEAK
        elif self.determiner not in (BARE, *NUMBERS):
            word, endings = word + nth(EIN[case], column), MIXED
        adjective = self.adjective.german(nth(endings[case], column)) if self.adjective else ""
        owner = self.owner.german("genitive") if self.owner else ""
        return join(word, adjective, self.noun.german(case, self.plural), owner)


@dataclass(frozen=True)
class Pronoun:
    """`person` is 0 for I, 1 for you, 2 for he and she, 3 for the plural."""

    person: int
    en: str
    en_object: str
    de: str
    de_accusative: str
    de_dative: str
    possessive: Determiner
    definite: bool = True

    def english(self, case: Case = "nominative") -> str:
        return self.en if case == "nominative" else self.en_object

    def german(self, case: Case, negated: bool = False) -> str:
        return {"nominative": self.de, "accusative": self.de_accusative}.get(case, self.de_dative)


Nominal = NounPhrase | Pronoun

THE, THIS = Determiner("the", "der"), Determiner("this", "dies", "these")
A, BARE = Determiner("a", "ein"), Determiner("", "")
MY, YOUR, HIS = Determiner("my", "mein"), Determiner("your", "dein"), Determiner("his", "sein")
HER, OUR, THEIR = Determiner("her", "ihr"), Determiner("our", "unser"), Determiner("their", "ihr")
NUMBERS = (Determiner("two", "zwei"), Determiner("three", "drei"), Determiner("four", "vier"))

SPEAKER = Pronoun(0, "I", "me", "ich", "mich", "mir", MY)
YOU = Pronoun(1, "you", "you", "du", "dich", "dir", YOUR)
HE = Pronoun(2, "he", "him", "er", "ihn", "ihm", HIS)
SHE = Pronoun(2, "she", "her", "sie", "sie", "ihr", HER)
WE = Pronoun(3, "we", "us", "wir", "uns", "uns", OUR)
THEY = Pronoun(3, "they", "them", "sie", "sie", "ihnen", THEIR)
WHO = Pronoun(2, "who", "who", "wer", "wen", "wem", MY)
PEOPLE = (SPEAKER, YOU, HE, SHE, WE, THEY)

AM, WAS, DO = "am are is are", "was were was were", "do do does do"
CAN = Modal("can " * 4, "could " * 4, "", True, "kann kannst kann können", "konnte")
SHOULD = Modal("should " * 4, "", "", True, "sollte solltest sollte sollten", "")
WOULD_LIKE = Modal("would " * 4, "", "like to", True, "möchte möchtest möchte möchten", "")
WANT = Modal(
    "want want wants want", "wanted " * 4, "want to", False, "will willst will wollen", "wollte"
)
HAVE_TO = Modal(
    "have have has have", "had " * 4, "have to", False, "muss musst muss müssen", "musste"
)
LIKE = Modal("like like likes like", "", "like to", False, "", "")  # German says `gern`


# --- Clauses -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clause:
    """One clause. `complement` is what German `nicht` precedes: a place, a predicate, a manner."""

    subject: Nominal
    verb: Verb
    tense: Tense = "present"
    modal: Modal | None = None
    dative: Nominal | None = None
    object: Nominal | None = None
    time: Time | None = None
    complement: Phrase = Phrase()
    negated: bool = False


def english_verb(clause: Clause, support: bool) -> tuple[str, str]:
    """The auxiliary and the rest of the verb; `support` asks for `do` where there is no other."""
    verb, modal, person = clause.verb, clause.modal, clause.subject.person
    past = clause.tense == "past"
    if modal and modal.auxiliary:
        return nth(modal.en_past if past else modal.en, person), join(modal.en_base, verb.en)
    if clause.tense == "future":
        return "will", verb.en
    if verb is BE:
        return nth(WAS if past else AM, person), ""
    if clause.tense == "present" and not verb.stative and not modal:
        return nth(AM, person), verb.en_ing
    if support:
        return "did" if past else nth(DO, person), join(modal.en_base if modal else "", verb.en)
    if modal:
        return "", f"{nth(modal.en_past if past else modal.en, person)} to {verb.en}"
    return "", verb.en_past if past else verb.en_third if person == 2 else verb.en


def english_rest(clause: Clause) -> str:
    """What follows the verb, its own particle first."""
    dative = clause.dative.english("dative") if clause.dative else ""
    direct = clause.object.english("accusative") if clause.object else ""
    particle, time = clause.verb.en_particle, clause.time
    words = [particle.strip("+~"), dative, direct]
    if particle.startswith("+") and isinstance(clause.object, Pronoun):
        words = [dative, direct, particle.strip("+")]
    return join(*words, clause.complement.en, time.en if time and not time.before_verb else "")


def english(clause: Clause, question: bool = False) -> str:
    """The clause as a statement (or a subordinate clause), or as a question."""
    auxiliary, main = english_verb(clause, support=question or clause.negated)
    subject = clause.subject.english()
    start = (auxiliary, subject) if question else (subject, auxiliary)
    adverb = clause.time.en if clause.time and clause.time.before_verb else ""
    words = join(*start, "not" if clause.negated else "", adverb, main, english_rest(clause))
    return words.replace("can not ", "cannot ")


def prepositional(preposition: str, phrase: NounPhrase, case: Case) -> str:
    """With its preposition, contracted with an article: `im Park`, `ins Dorf`."""
    text = f"{preposition} {phrase.german(case)}"
    for long, short in (("in dem ", "im "), ("in das ", "ins "), ("von dem ", "vom ")):
        if text.startswith(long):
            return short + text.removeprefix(long)
    return text


def german_verb(clause: Clause) -> tuple[str, str, str]:
    """The finite verb, its particle, and the infinitive or participle that closes the clause."""
    verb, modal, person = clause.verb, clause.modal, clause.subject.person
    past = clause.tense == "past"
    if modal and modal is not LIKE:
        finite = preterite(modal.de_past, person) if past else nth(modal.de, person)
        return finite, "", verb.infinitive()
    if clause.tense == "future":
        return nth("werde wirst wird werden", person), "", verb.infinitive()
    if past and verb.preterite:
        return preterite(verb.preterite, person), "", ""
    if past:
        return (BE if verb.auxiliary == "ist" else HAVE).present(person), "", verb.participle
    return verb.present(person), verb.particle, ""


def preterite(stem: str, person: int) -> str:
    return (stem, stem + "st", stem, stem + ("n" if stem.endswith("e") else "en"))[person]


def german_middle(clause: Clause) -> str:
    """What stands inside the bracket: dative, time, object, complement.

    A negated definite object goes before the time, and `nicht` after it.
    """
    time = "gern" if clause.modal is LIKE else clause.time.de if clause.time else ""
    dative = clause.dative.german("dative") if clause.dative else ""
    direct, negation = "", "nicht" if clause.negated else ""
    if clause.object:
        no = clause.negated and not clause.object.definite
        direct, negation = clause.object.german("accusative", no), "" if no else negation
    words = (dative, direct, time, negation) if negation else (dative, time, direct)
    return join(*words, clause.complement.de)


def german(clause: Clause, order: Order = "second") -> str:
    """The clause with its finite verb first, second (after the subject) or last."""
    finite, particle, closing = german_verb(clause)
    subject, middle = clause.subject.german("nominative"), german_middle(clause)
    if order == "last":
        return join(subject, middle, closing, particle + finite)
    start = (finite, subject) if order == "first" else (subject, finite)
    return join(*start, middle, closing, particle)


def say(en: str, de: str, mark: str = ".") -> Pair:
    return en[0].upper() + en[1:] + mark, de[0].upper() + de[1:] + mark


# --- The lexicon -------------------------------------------------------------------------------

NOUNS = [
    Noun.parse(row)
    for row in """
father fathers | der Vater Väter | relative
mother mothers | die Mutter Mütter | relative
brother brothers | der Bruder Brüder | relative many
sister sisters | die Schwester Schwestern | relative many
uncle uncles | der Onkel Onkel | relative
aunt aunts | die Tante Tanten | relative
grandfather grandfathers | der Großvater Großväter | relative
grandmother grandmothers | die Großmutter Großmütter | relative
son sons | der Sohn Söhne | relative
daughter daughters | die Tochter Töchter | relative
friend friends | der Freund Freunde | relative many
neighbor neighbors | der Nachbar Nachbarn | relative many weak
colleague colleagues | der Kollege Kollegen | relative many weak
- parents | die - Eltern | many
- children | das - Kinder | many
man men | der Mann Männer | person adult
woman women | die Frau Frauen | person adult
teacher teachers | der Lehrer Lehrer | person adult
doctor doctors | der Arzt Ärzte | person adult
guest guests | der Gast Gäste | person
student students | der Student Studenten | person weak
boy boys | der Junge Jungen | person weak
girl girls | das Mädchen Mädchen | person
child children | das Kind Kinder | person
dog dogs | der Hund Hunde | animal
cat cats | die Katze Katzen | animal
horse horses | das Pferd Pferde | animal
bird birds | der Vogel Vögel | animal
car cars | das Auto Autos | machine
bicycle bicycles | das Fahrrad Fahrräder | machine
phone phones | das Telefon Telefone | machine
watch watches | die Uhr Uhren | machine small_thing
camera cameras | die Kamera Kameras | machine small_thing
lamp lamps | die Lampe Lampen | machine standing
bag bags | die Tasche Taschen | small_thing
key keys | der Schlüssel Schlüssel | small_thing lying
knife knives | das Messer Messer | small_thing lying
umbrella umbrellas | der Regenschirm Regenschirme | small_thing
picture pictures | das Bild Bilder | small_thing
gift gifts | das Geschenk Geschenke | small_thing
cup cups | die Tasse Tassen | small_thing standing
glass glasses | das Glas Gläser | standing
table tables | der Tisch Tische | furniture
chair chairs | der Stuhl Stühle | furniture
bed beds | das Bett Betten | furniture
sofa sofas | das Sofa Sofas | furniture
coat coats | der Mantel Mäntel | clothing
shirt shirts | das Hemd Hemden | clothing
scarf scarves | der Schal Schals | clothing
hat hats | der Hut Hüte | clothing
jacket jackets | die Jacke Jacken | clothing
sweater sweaters | der Pullover Pullover | clothing
book books | das Buch Bücher | text writing lying
letter letters | der Brief Briefe | text writing lying
story stories | die Geschichte Geschichten | text writing
report reports | der Bericht Berichte | text writing
newspaper newspapers | die Zeitung Zeitungen | text lying
apple apples | der Apfel Äpfel | fruit
egg eggs | das Ei Eier | fruit
banana bananas | die Banane Bananen | fruit
tomato tomatoes | die Tomate Tomaten | fruit
potato potatoes | die Kartoffel Kartoffeln | fruit
cake cakes | der Kuchen Kuchen | fruit
bread - | das Brot - | food
cheese - | der Käse - | food
meat - | das Fleisch - | food
fish - | der Fisch - | food
rice - | der Reis - | food
soup - | die Suppe - | food heated
coffee - | der Kaffee - | drink heated
tea - | der Tee - | drink heated
milk - | die Milch - | drink heated
water - | das Wasser - | drink
juice - | der Saft - | drink
beer - | das Bier - | drink
door doors | die Tür Türen | opening
window windows | das Fenster Fenster | opening
suitcase suitcases | der Koffer Koffer | opening
bottle bottles | die Flasche Flaschen | opening standing
room rooms | das Zimmer Zimmer | room
garage garages | die Garage Garagen | room
kitchen kitchens | die Küche Küchen | place room
office offices | das Büro Büros | place room
garden gardens | der Garten Gärten | place
city cities | die Stadt Städte | place
village villages | das Dorf Dörfer | place
park parks | der Park Parks | place sight
hotel hotels | das Hotel Hotels | place sight
library libraries | die Bibliothek Bibliotheken | place sight
restaurant restaurants | das Restaurant Restaurants | place sight
museum museums | das Museum Museen | place sight
supermarket supermarkets | der Supermarkt Supermärkte | place sight
hospital hospitals | das Krankenhaus Krankenhäuser | place sight
""".strip().split("\n")
]
MASS = ("food", "drink")
LIKED = ("buy", "read", "write", "eat", "drink", "draw")
TIME = Noun.parse("time - | die Zeit - | abstract")

ADJECTIVES = [
    Adjective.parse(row)
    for row in """
new neu newer neuer | machine small_thing furniture clothing text place
old alt older älter | machine small_thing furniture text place room opening animal adult
young jung younger jünger | animal adult
small klein smaller kleiner | animal small_thing furniture fruit opening place room
big groß bigger größer | animal small_thing furniture fruit opening place room
red rot - - | machine small_thing clothing
blue blau - - | machine small_thing clothing
black schwarz - - | machine animal clothing
white weiß - - | animal furniture clothing
green grün - - | clothing standing
beautiful schön more_beautiful schöner | furniture clothing place standing
expensive teuer more_expensive teurer | machine small_thing furniture clothing
cheap billig cheaper billiger | machine small_thing furniture clothing
heavy schwer heavier schwerer | furniture standing
long lang longer länger | text
short kurz shorter kürzer | text
interesting interessant more_interesting interessanter | text
boring langweilig more_boring langweiliger | text
warm warm warmer wärmer | clothing
cold kalt colder kälter | drink
hot heiß hotter heißer | heated
fresh frisch fresher frischer | fruit food
good gut better besser | fruit food drink
friendly freundlich friendlier freundlicher | person
tired müde - - | mood
hungry hungrig - - | mood
sick krank - - | mood
happy glücklich - - | mood
sad traurig - - | mood
""".strip().split("\n")
]
MOODS = [adjective for adjective in ADJECTIVES if "mood" in adjective.kinds]

BE = replace(Verb.parse("be is was being | sein bist ist gewesen ist | state"), preterite="war")
HAVE = replace(Verb.parse("have has had having | haben hast hat gehabt | state"), preterite="hatte")
TRY = Verb.parse("try tries tried trying | versuchen versuchst versucht versucht | -")
FORGET = Verb.parse("forget forgets forgot forgetting | vergessen vergisst vergisst vergessen | -")
DECIDE = Verb.parse(
    "decide decides decided deciding | beschließen beschließt beschließt beschlossen | -"
)
SING = Verb.parse("sing sings sang singing | singen singst singt gesungen | -")
COOK = Verb.parse("cook cooks cooked cooking | kochen kochst kocht gekocht | -")
LAY = Verb.parse("put puts put putting | legen legst legt gelegt | lying")
STAND = Verb.parse("put puts put putting | stellen stellst stellt gestellt | standing")


def verbs(table: str) -> list[Verb]:
    return [Verb.parse(row) for row in table.strip().split("\n")]


# The last column is the kinds of object. Verbs with `often` go with `every day`.
ACTING = verbs("""
buy buys bought buying | kaufen kaufst kauft gekauft | small_thing clothing text fruit food
sell sells sold selling | verkaufen verkaufst verkauft verkauft | machine furniture animal
see sees saw seeing | sehen siehst sieht gesehen | relative person animal state
read reads read reading | lesen liest liest gelesen | text often
write writes wrote writing | schreiben schreibst schreibt geschrieben | writing often
eat eats ate eating | essen isst isst gegessen | fruit food often
drink drinks drank drinking | trinken trinkst trinkt getrunken | drink often
need needs needed needing | brauchen brauchst braucht gebraucht | small_thing clothing state
look looks looked looking ~for | suchen suchst sucht gesucht | small_thing animal person clothing
repair repairs repaired repairing | reparieren reparierst repariert repariert | machine
wash washes washed washing | waschen wäschst wäscht gewaschen | clothing often
visit visits visited visiting | besuchen besuchst besucht besucht | relative often
know knows knew knowing | kennen kennst kennt gekannt | person relative state
understand understands understood - | verstehen verstehst versteht verstanden | person state
feed feeds fed feeding | füttern fütterst füttert gefüttert | animal often
draw draws drew drawing | zeichnen zeichnest zeichnet gezeichnet | animal often
call calls called calling | an|rufen rufst ruft angerufen | relative often
pick picks picked picking +up | ab|holen holst holt abgeholt | relative often
invite invites invited inviting | ein|laden lädst lädt eingeladen | relative often
open opens opened opening | auf|machen machst macht aufgemacht | opening often
close closes closed closing | zu|machen machst macht zugemacht | opening often
put puts put putting +on | an|ziehen ziehst zieht angezogen | clothing
tidy tidies tidied tidying +up | auf|räumen räumst räumt aufgeräumt | room often
throw throws threw throwing +away | weg|werfen wirfst wirft weggeworfen | text clothing
bring brings brought bringing +along | mit|bringen bringst bringt mitgebracht | fruit text food
""")
GIVING = verbs("""
give gives gave giving | geben gibst gibt gegeben | small_thing fruit text
show shows showed showing | zeigen zeigst zeigt gezeigt | small_thing text animal clothing
send sends sent sending | schicken schickst schickt geschickt | text small_thing
""")
HELPING = verbs("""
help helps helped helping | helfen hilfst hilft geholfen | relative
thank thanks thanked thanking | danken dankst dankt gedankt | relative
""")
# First the German preposition and its case.
MINDING = verbs("""
wait waits waited waiting ~for | warten wartest wartet gewartet | auf accusative relative person
talk talks talked talking ~to | sprechen sprichst spricht gesprochen | mit dative relative person
think thinks thought thinking ~of | denken denkst denkt gedacht | an accusative relative
laugh laughs laughed laughing ~at | lachen lachst lacht gelacht | über accusative relative person
dream dreams dreamed dreaming ~of | träumen träumst träumt geträumt | von dative machine animal
""")
# The places, by their English names.
STAYING = verbs("""
sleep sleeps slept sleeping | schlafen schläfst schläft geschlafen | hotel hospital garden
work works worked working | arbeiten arbeitest arbeitet gearbeitet | \
office library museum hospital supermarket city restaurant hotel garden
play plays played playing | spielen spielst spielt gespielt | garden park kitchen village
sit sits sat sitting | sitzen sitzt sitzt gesessen | garden park kitchen library restaurant
dance dances danced dancing | tanzen tanzt tanzt getanzt | garden kitchen restaurant hotel city
eat eats ate eating | essen isst isst gegessen | kitchen restaurant hotel garden office
read reads read reading | lesen liest liest gelesen | library garden park office
stay stays stayed staying | bleiben bleibst bleibt geblieben ist | hotel hospital village city
""")
GOING = verbs("""
go goes went going | gehen gehst geht gegangen ist | \
kitchen garden park library office restaurant museum supermarket hospital
drive drives drove driving | fahren fährst fährt gefahren ist | \
city village supermarket hospital office museum hotel
run runs ran running | laufen läufst läuft gelaufen ist | garden park kitchen village
""")
ARRIVING = verbs("""
get gets got getting +up | auf|stehen stehst steht aufgestanden ist | -
wake wakes woke waking +up | auf|wachen wachst wacht aufgewacht ist | -
arrive arrives arrived arriving | an|kommen kommst kommt angekommen ist | -
come comes came coming +back | zurück|kommen kommst kommt zurückgekommen ist | -
""")
# Never `früh` alone: `morgen früh` is tomorrow morning, `heute früh` this morning.
HOURS = (Phrase("very early", "sehr früh"), Phrase("very late", "sehr spät"))
SPOTS = (
    Phrase("on", "auf"),
    Phrase("under", "unter"),
    Phrase("next to", "neben"),
    Phrase("behind", "hinter"),
)

TIMES: dict[Tense, tuple[Time, ...]] = {
    "present": (Time("now", "jetzt"), Time("today", "heute"), Time("this evening", "heute Abend")),
    "habit": (
        Time("often", "oft", True),
        Time("always", "immer", True),
        Time("never", "nie", True),
        Time("sometimes", "manchmal", True),
        Time("every day", "jeden Tag"),
        Time("every morning", "jeden Morgen"),
    ),
    "past": (
        Time("yesterday", "gestern"),
        Time("yesterday evening", "gestern Abend"),
        Time("last week", "letzte Woche"),
        Time("on Monday", "am Montag"),
        Time("on Friday", "am Freitag"),
    ),
    "future": (
        Time("tomorrow", "morgen"),
        Time("tomorrow evening", "morgen Abend"),
        Time("next week", "nächste Woche"),
        Time("on Monday", "am Montag"),
        Time("on Friday", "am Freitag"),
    ),
}
NOW, TODAY, THIS_EVENING = TIMES["present"]
TOMORROW = TIMES["future"][0]

CLAIMS = (
    Phrase("I know that", "ich weiß, dass"),
    Phrase("I think that", "ich glaube, dass"),
    Phrase("I hope that", "ich hoffe, dass"),
    Phrase("we know that", "wir wissen, dass"),
    Phrase("it is good that", "es ist gut, dass"),
    Phrase("my mother says that", "meine Mutter sagt, dass"),
    Phrase("he told me that", "er hat mir gesagt, dass"),
    Phrase("I do not know whether", "ich weiß nicht, ob"),
    Phrase("she wants to know whether", "sie will wissen, ob"),
)
CONDITIONS = (
    Phrase("if it rains tomorrow", "wenn es morgen regnet"),
    Phrase("if the weather is good", "wenn das Wetter gut ist"),
    Phrase("if I have enough time", "wenn ich genug Zeit habe"),
    Phrase("if you have time tomorrow", "wenn du morgen Zeit hast"),
    Phrase("if the train is late", "wenn der Zug Verspätung hat"),
)
CIRCUMSTANCES = (
    Phrase("although it is raining", "obwohl es regnet"),
    Phrase("because it is raining", "weil es regnet"),
    Phrase("because it is so cold today", "weil es heute so kalt ist"),
    Phrase("although it is already late", "obwohl es schon spät ist"),
)
TASKS = (
    Phrase("it is important to", "es ist wichtig"),
    Phrase("it is not easy to", "es ist nicht einfach"),
    Phrase("I have no time to", "ich habe keine Zeit"),
    Phrase("I promised to", "ich habe versprochen"),
)


# --- Meanings ----------------------------------------------------------------------------------


class Grammar:
    """Draws clauses that make sense, and says them in both languages."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._kinds: dict[Callable[[], Pair], int] = {
            self.statement: 26,
            self.time_first: 12,
            self.yes_no_question: 10,
            self.why_or_when: 9,
            self.what_question: 5,
            self.where_question: 4,
            self.who_question: 4,
            self.claim: 9,
            self.reason: 7,
            self.condition: 6,
            self.described_person: 5,
            self.described_thing: 5,
            self.request: 5,
            self.suggestion: 2,
            self.attempt: 4,
            self.task: 3,
            self.comparison: 3,
            self.property: 3,
            self.location: 4,
            self.existence: 3,
            self.liking: 4,
        }

    def pairs(self) -> Iterator[Pair]:
        """Sentence pairs without end, some of them again and again."""
        kinds, weights = list(self._kinds), list(self._kinds.values())
        while True:
            (kind,) = self._random.choices(kinds, weights)
            yield kind()

    def pick(self, items: Sequence[T]) -> T:
        return self._random.choice(items)

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    # Who and what

    def noun(self, kind: str) -> Noun:
        return self.pick([noun for noun in NOUNS if kind in noun.kinds])

    def adjective(self, noun: Noun, comparable: bool = False) -> Adjective:
        fitting = [adjective for adjective in ADJECTIVES if adjective.kinds & noun.kinds]
        return self.pick([a for a in fitting if a.en_more or not comparable])

    def described(self, noun: Noun, probability: float = 0.4) -> Adjective | None:
        return self.adjective(noun) if self.chance(probability) else None

    def own(self, owner: Nominal) -> Determiner:
        """His or her own; `our` where German would have to choose between `sein` and `ihr`."""
        if isinstance(owner, Pronoun):
            return owner.possessive
        return {"m": HIS, "f": HER, "n": OUR, "p": THEIR}[owner.gender]

    def subject(self) -> Nominal:
        roll = self._random.random()
        if roll < 0.45:
            return self.pick(PEOPLE)
        if roll < 0.7:
            return NounPhrase(self.noun("relative"), self.pick((MY, MY, YOUR, HIS, HER, OUR)))
        if roll < 0.8:
            return NounPhrase(self.noun("many"), self.pick((MY, YOUR, HIS, OUR)), plural=True)
        return self.phrase("person", SPEAKER)

    def phrase(self, kind: str, subject: Nominal, indefinite: bool = True) -> NounPhrase:
        """Something of that kind that `subject` has to do with."""
        noun, own = self.noun(kind), self.own(subject)
        if kind == "relative":
            if isinstance(subject, NounPhrase) and noun == subject.noun:
                return self.phrase(kind, subject)
            others = () if subject is YOU else (YOUR, OUR)
            return NounPhrase(noun, self.pick((own, own, MY, *others)))
        adjective = self.described(noun)
        if kind in MASS:
            bare = indefinite and self.chance(0.6)
            return NounPhrase(noun, BARE if bare else THE, False, adjective)
        plural = kind != "room" and self.chance(0.3)
        choices: tuple[Determiner, ...] = (THE, THE, THIS)
        if kind not in ("person", "opening", "room"):
            choices += () if kind == "fruit" else (own, own)
            if indefinite:
                choices += (BARE, *NUMBERS) if plural else (A, A, A)
        return NounPhrase(noun, self.pick(choices), plural, adjective)

    def receiver(self, subject: Nominal) -> Nominal:
        if self.chance(0.6):
            return self.phrase("relative", subject)
        same = (SPEAKER, WE) if subject in (SPEAKER, WE) else (subject,)
        return self.pick([person for person in PEOPLE if person not in same])

    # Where

    def place(self, preposition: str, verb: Verb, case: Case) -> Phrase:
        """`in` and `to` are both German `in`, with the dative and the accusative."""
        noun = self.pick([noun for noun in NOUNS if noun.en in verb.kinds])
        phrase = NounPhrase(noun, THE, adjective=self.described(noun, 0.2))
        return Phrase(f"{preposition} {phrase.english()}", prepositional("in", phrase, case))

    def spot(self, case: Case) -> Phrase:
        preposition, noun = self.pick(SPOTS), self.noun("furniture")
        phrase = NounPhrase(noun, THE, adjective=self.described(noun, 0.2))
        german = prepositional(preposition.de, phrase, case)
        return Phrase(f"{preposition.en} {phrase.english()}", german)

    def in_company(self, subject: Nominal, where: Phrase) -> Phrase:
        if self.chance(0.7):
            return where
        friend = self.phrase("relative", subject)
        return Phrase(
            f"{where.en} with {friend.english()}", f"mit {friend.german('dative')} {where.de}"
        )

    # What happens

    def clause(self, subject: Nominal | None = None) -> Clause:
        """Someone does something, or is somewhere or somehow."""
        makers = (
            *(self.acting,) * 6,
            *(self.staying,) * 2,
            *(self.giving, self.going, self.arriving, self.helping, self.minding, self.putting),
            *(self.performing, self.being, self.owning),
        )
        return self.pick(makers)(subject or self.subject())

    def acting(self, subject: Nominal) -> Clause:
        verb = self.pick(ACTING)
        kind = self.pick([kind for kind in verb.kinds if kind not in ("state", "often")])
        clause = Clause(subject, verb, object=self.phrase(kind, subject))
        return self.set_in_time(clause, repeated="often" in verb.kinds)

    def giving(self, subject: Nominal) -> Clause:
        verb = self.pick(GIVING)
        thing = self.phrase(self.pick(verb.kinds), subject)
        clause = Clause(subject, verb, dative=self.receiver(subject), object=thing)
        return self.set_in_time(clause, repeated=False)

    def helping(self, subject: Nominal) -> Clause:
        verb = self.pick(HELPING)
        return self.set_in_time(Clause(subject, verb, dative=self.receiver(subject)))

    def minding(self, subject: Nominal) -> Clause:
        """Waiting for someone, thinking of someone: a verb with its preposition."""
        verb = self.pick(MINDING)
        preposition, case, *kinds = verb.kinds
        phrase = self.phrase(self.pick(kinds), subject)
        german_case: Case = "dative" if case == "dative" else "accusative"
        complement = Phrase(phrase.english(), prepositional(preposition, phrase, german_case))
        return self.set_in_time(Clause(subject, verb, complement=complement))

    def staying(self, subject: Nominal) -> Clause:
        verb = self.pick(STAYING)
        home = Phrase("at home", "zu Hause")
        where = home if self.chance(0.15) else self.place("in", verb, "dative")
        complement = self.in_company(subject, where)
        return self.set_in_time(Clause(subject, verb, complement=complement))

    def going(self, subject: Nominal) -> Clause:
        verb = self.pick(GOING)
        home = Phrase("home", "nach Hause")
        where = home if self.chance(0.2) else self.place("to", verb, "accusative")
        complement = self.in_company(subject, where)
        return self.set_in_time(Clause(subject, verb, complement=complement))

    def arriving(self, subject: Nominal) -> Clause:
        return self.set_in_time(Clause(subject, self.pick(ARRIVING), complement=self.pick(HOURS)))

    def putting(self, subject: Nominal) -> Clause:
        """English puts; German lays what is flat and stands what is tall."""
        verb = self.pick((LAY, STAND))
        thing = self.phrase(verb.kinds[0], subject, indefinite=False)
        clause = Clause(subject, verb, object=thing, complement=self.spot("accusative"))
        return self.set_in_time(clause, repeated=False)

    def performing(self, subject: Nominal) -> Clause:
        well = Clause(
            subject, self.pick((SING, COOK)), "habit", complement=Phrase("very well", "sehr gut")
        )
        if self.chance(0.4):
            return replace(well, tense="past", time=self.pick(TIMES["past"]))
        return replace(well, negated=self.chance(0.3))

    def being(self, subject: Nominal) -> Clause:
        if self.chance(0.3):
            where = self.place("in", self.pick(STAYING), "dative")
            return Clause(subject, BE, complement=where, negated=self.chance(0.3))
        mood = self.pick(MOODS)
        how = self.pick((Phrase(), Phrase("very", "sehr"), Phrase("a little", "ein bisschen")))
        complement = Phrase(join(how.en, mood.en), join(how.de, mood.de))
        clause = Clause(
            subject, BE, complement=complement, negated=how == Phrase() and self.chance(0.3)
        )
        if self.chance(0.3):
            return replace(clause, tense="past", time=self.pick(TIMES["past"][:2]))
        return replace(clause, time=self.pick((None, NOW, TODAY)))

    def owning(self, subject: Nominal) -> Clause:
        noun = self.noun(self.pick(("small_thing", "machine", "animal", "clothing")))
        adjective = self.described(noun, 0.6)
        if self.chance(0.3):
            several = NounPhrase(noun, self.pick(NUMBERS), True, adjective)
            return Clause(subject, HAVE, object=several)
        one = NounPhrase(noun, A, False, adjective)
        return Clause(subject, HAVE, object=one, negated=self.chance(0.3))

    def set_in_time(self, clause: Clause, repeated: bool = True) -> Clause:
        """Choose tense, time, modal verb and negation."""
        roll = self._random.random()
        if clause.verb.stative:
            if clause.verb.en in ("see", "need") and roll < 0.4:
                clause = replace(clause, tense="past", time=self.pick(TIMES["past"]))
        elif roll < 0.3:
            clause = replace(clause, time=self.pick((None, *TIMES["present"])))
        elif roll < 0.45 and repeated:
            return replace(clause, tense="habit", time=self.pick(TIMES["habit"]))
        elif roll < 0.65:
            clause = replace(clause, tense="past", time=self.pick((None, *TIMES["past"])))
        elif roll < 0.75:
            clause = replace(clause, tense="future", time=self.pick((None, *TIMES["future"])))
        else:
            clause = self.with_modal(clause)
        if clause.modal is WOULD_LIKE or counted(clause):
            return clause
        return replace(clause, negated=self.chance(0.2))

    def with_modal(self, clause: Clause) -> Clause:
        modal = self.pick((CAN, SHOULD, WOULD_LIKE, WANT, HAVE_TO))
        if modal.en_past and self.chance(0.25):
            time = self.pick((None, *TIMES["past"]))
            return replace(clause, modal=modal, tense="past", time=time)
        time = self.pick((None, None, TODAY, THIS_EVENING, *TIMES["future"]))
        return replace(clause, modal=modal, time=time)

    def errand(self, subject: Nominal) -> Clause:
        """Something that one can be asked or want to do, without tense and time."""
        makers = (self.acting, self.acting, self.giving, self.going, self.helping, self.minding)
        clause = self.pick(makers)(subject)
        while clause.verb.stative or clause.verb.en == "dream":
            clause = self.pick(makers)(subject)
        return replace(clause, tense="present", modal=None, time=None, negated=False)

    # Sentences

    def statement(self) -> Pair:
        clause = self.clause()
        return say(english(clause), german(clause))

    def time_first(self) -> Pair:
        clause = self.clause()
        while not clause.time or clause.time.en in ("often", "always", "never"):
            clause = self.clause()
        time, rest = clause.time, replace(clause, time=None)
        return say(f"{time.en} {english(rest)}", f"{time.de} {german(rest, 'first')}")

    def yes_no_question(self) -> Pair:
        clause = replace(self.clause(), negated=False)
        return say(english(clause, question=True), german(clause, "first"), "?")

    def why_or_when(self) -> Pair:
        clause = self.clause()
        while clause.tense == "habit":
            clause = self.clause()
        why = Phrase("why", "warum")
        if not clause.negated and not clause.verb.stative and self.chance(0.4):
            why, clause = Phrase("when", "wann"), replace(clause, time=None)
        if self.chance(0.2):
            return say(
                f"do you know {why.en} {english(clause)}",
                f"weißt du, {why.de} {german(clause, 'last')}",
                "?",
            )
        return say(
            f"{why.en} {english(clause, question=True)}", f"{why.de} {german(clause, 'first')}", "?"
        )

    def what_question(self) -> Pair:
        clause = self.acting(self.subject())
        while clause.tense == "habit" or not about(
            clause, "text clothing fruit food drink machine"
        ):
            clause = self.acting(self.subject())
        clause = replace(clause, object=None, negated=False)
        return say(f"what {english(clause, question=True)}", f"was {german(clause, 'first')}", "?")

    def where_question(self) -> Pair:
        if self.chance(0.6):
            thing = self.phrase(self.pick(("small_thing", "clothing", "animal")), YOU)
            clause = Clause(replace(thing, determiner=self.pick((MY, YOUR, HIS, OUR, THE))), BE)
        else:
            clause = replace(self.acting(self.subject()), negated=False)
            while clause.verb.en not in ("buy", "see", "eat", "read"):
                clause = replace(self.acting(self.subject()), negated=False)
        return say(f"where {english(clause, question=True)}", f"wo {german(clause, 'first')}", "?")

    def who_question(self) -> Pair:
        clause = self.clause(WHO)
        return say(english(clause), german(clause), "?")

    def claim(self) -> Pair:
        claim, clause = self.pick(CLAIMS), self.clause()
        return say(f"{claim.en} {english(clause)}", f"{claim.de} {german(clause, 'last')}")

    def reason(self) -> Pair:
        """Someone goes, stays or gets up because he or she is in some state."""
        subject = self.subject()
        while isinstance(subject, NounPhrase) and subject.gender == "n":
            subject = self.subject()
        clause = self.pick((self.going, self.staying, self.arriving))(subject)
        if isinstance(subject, NounPhrase):
            subject = {"m": HE, "f": SHE}.get(subject.gender, THEY)
        tense: Tense = "past" if clause.tense == "past" else "present"
        if self.chance(0.6):
            mood = self.pick(MOODS)
            cause = Clause(subject, BE, tense, complement=Phrase(mood.en, mood.de))
        else:
            cause = Clause(subject, HAVE, tense, object=NounPhrase(TIME, BARE))
            cause = replace(cause, negated=self.chance(0.5))
        link = self.pick((Phrase("because", "weil"), Phrase("although", "obwohl")))
        return say(
            f"{english(clause)} {link.en} {english(cause)}",
            f"{german(clause)}, {link.de} {german(cause, 'last')}",
        )

    def condition(self) -> Pair:
        """A subordinate clause in front: the finite verb follows it."""
        front, clause = self.pick(CIRCUMSTANCES), self.errand(self.subject())
        if self.chance(0.6):
            front = self.pick(CONDITIONS)
            modal = self.pick((None, None, CAN, SHOULD, WANT, HAVE_TO))
            clause = replace(clause, modal=modal, tense="present" if modal else "future")
        return say(f"{front.en}, {english(clause)}", f"{front.de}, {german(clause, 'first')}")

    def described_person(self) -> Pair:
        """The man who is sitting in the garden is tired."""
        head = replace(self.phrase("person", SPEAKER), determiner=THE, adjective=None)
        pronoun = nth(ARTICLE["nominative"], "mfnp".index(head.gender))
        who = replace(WHO, person=head.person, de=pronoun)
        clause = self.pick((self.staying, self.acting, self.minding, self.helping))(who)
        relative = Phrase(english(clause), german(clause, "last"))
        if self.chance(0.4):
            return say(
                f"do you know {head.english()} {relative.en}",
                f"kennst du {head.german('accusative')}, {relative.de}",
                "?",
            )
        adjective = self.pick([*MOODS, self.adjective(head.noun)])
        return say(
            f"{head.english()} {relative.en} {nth(AM, head.person)} {adjective.en}",
            f"{head.german('nominative')}, {relative.de}, {BE.present(head.person)} {adjective.de}",
        )

    def described_thing(self) -> Pair:
        """The book that my sister is reading is interesting."""
        clause = self.acting(self.subject())
        while not about(clause, "text clothing machine"):
            clause = self.acting(self.subject())
        assert isinstance(clause.object, NounPhrase)
        head = replace(clause.object, determiner=THE, adjective=None)
        clause = replace(clause, object=None)
        pronoun = nth(ARTICLE["accusative"], "mfnp".index(head.gender))
        adjective = self.adjective(head.noun)
        return say(
            f"{head.english()} that {english(clause)} {nth(AM, head.person)} {adjective.en}",
            f"{head.german('nominative')}, {pronoun} {german(clause, 'last')}, "
            f"{BE.present(head.person)} {adjective.de}",
        )

    def request(self) -> Pair:
        clause = self.errand(YOU)
        clause = replace(clause, time=self.pick((None, None, NOW, TODAY, TOMORROW)))
        clause = replace(clause, negated=not counted(clause) and self.chance(0.25))
        start, verb = "please do not" if clause.negated else "please", clause.verb
        return say(
            join(start, verb.en, english_rest(clause)),
            join("bitte", verb.imperative, german_middle(clause), verb.particle),
        )

    def suggestion(self) -> Pair:
        clause = replace(self.errand(WE), time=self.pick((None, None, *TIMES["future"])))
        return say(
            join("let us", clause.verb.en, english_rest(clause)),
            join("lass uns", german_middle(clause), clause.verb.infinitive()),
        )

    def attempt(self) -> Pair:
        """Someone tries, forgets or decides to do something."""
        subject = self.subject()
        tries = Clause(subject, self.pick((TRY, FORGET, DECIDE)), "past")
        if self.chance(0.3):
            tries = Clause(subject, TRY)
        return self.with_zu(Phrase(f"{english(tries)} to", german(tries)), self.errand(subject))

    def task(self) -> Pair:
        return self.with_zu(self.pick(TASKS), self.errand(SPEAKER))

    def with_zu(self, start: Phrase, clause: Clause) -> Pair:
        verb = clause.verb
        infinitive = join(german_middle(clause), verb.infinitive(zu=True))
        return say(join(start.en, verb.en, english_rest(clause)), f"{start.de}, {infinitive}")

    def comparison(self) -> Pair:
        """My car is older than your car."""
        noun = self.noun(self.pick(("machine", "furniture", "clothing", "text", "animal")))
        more = self.adjective(noun, comparable=True)
        mine, yours = (
            NounPhrase(noun, determiner)
            for determiner in self._random.sample((MY, YOUR, HIS, HER, OUR, THIS), 2)
        )
        much = self.pick((Phrase(), Phrase("much", "viel")))
        return say(
            join(mine.english(), "is", much.en, more.en_more, "than", yours.english()),
            join(mine.german("nominative"), "ist", much.de, more.de_more, "als")
            + f" {yours.german('nominative')}",
        )

    def property(self) -> Pair:
        """My father's car is very expensive."""
        noun = self.noun(self.pick(("small_thing", "machine", "clothing", "text", "room")))
        adjective = self.adjective(noun, comparable=True)
        thing = NounPhrase(noun, self.pick((THE, THIS, MY, YOUR, OUR)), self.chance(0.25))
        if not thing.plural and self.chance(0.5):
            owner = NounPhrase(self.noun("relative"), self.pick((MY, YOUR, OUR)))
            thing = NounPhrase(noun, THE, owner=owner)
        how = self.pick((Phrase("very", "sehr"), Phrase("too", "zu"), Phrase("not", "nicht")))
        predicate = Phrase(f"{how.en} {adjective.en}", f"{how.de} {adjective.de}")
        clause = Clause(thing, BE, complement=predicate)
        return say(english(clause), german(clause))

    def location(self) -> Pair:
        kind = self.pick(("small_thing", "clothing", "lying", "standing", "animal"))
        thing = self.phrase(kind, self.pick((SPEAKER, YOU, WE)), indefinite=False)
        clause = Clause(thing, BE, complement=self.spot("dative"), negated=self.chance(0.25))
        if self.chance(0.3):
            clause = replace(clause, tense="past", time=self.pick(TIMES["past"][:2]))
        return say(english(clause), german(clause))

    def existence(self) -> Pair:
        """There is a good restaurant in the city: German has it in the accusative."""
        kind, house = self.pick((("sight", "city"), ("sight", "village"), ("furniture", "kitchen")))
        around = NounPhrase(next(noun for noun in NOUNS if noun.en == house), THE)
        where = prepositional("in", around, "dative")
        noun, number = self.noun(kind), self.pick((A, A, *NUMBERS))
        thing = NounPhrase(noun, number, number is not A, self.described(noun, 0.7))
        be, rest = nth(AM, thing.person), f"{thing.english()} in {around.english()}"
        if self.chance(0.3):
            return say(f"{be} there {rest}", f"gibt es {where} {thing.german('accusative')}", "?")
        return say(f"there {be} {rest}", f"{where} gibt es {thing.german('accusative')}")

    def liking(self) -> Pair:
        """My sister likes to read: meine Schwester liest gern."""
        subject = self.subject()
        clause = self.staying(subject)
        if self.chance(0.6):
            verb = self.pick([verb for verb in ACTING if verb.en in LIKED])
            kind = self.pick([kind for kind in verb.kinds if kind != "often"])
            noun = self.noun(kind)
            thing = NounPhrase(noun, BARE, kind not in MASS, self.described(noun, 0.6))
            clause = Clause(subject, verb, object=thing)
        clause = replace(clause, tense="habit", modal=LIKE, time=None, negated=False)
        return say(english(clause), german(clause))


def about(clause: Clause, kinds: str) -> bool:
    """Whether the object is a thing of one of those kinds."""
    return isinstance(clause.object, NounPhrase) and not clause.object.noun.kinds.isdisjoint(
        kinds.split()
    )


def counted(clause: Clause) -> bool:
    """Two apples: not negated, since `keine zwei Äpfel` says something else."""
    return isinstance(clause.object, NounPhrase) and clause.object.determiner in NUMBERS


def distinct_pairs(seed: int) -> Iterator[Pair]:
    """Pairs of the right length of which neither side has come before."""
    seen: set[str] = set()
    for pair in Grammar(seed).pairs():
        lengths = [len(side.split()) for side in pair]
        if min(lengths) >= SHORTEST and max(lengths) <= LONGEST and seen.isdisjoint(pair):
            seen.update(pair)
            yield pair


def make(seed: int) -> dict[str, list[Pair]]:
    """The splits by name."""
    pairs = distinct_pairs(seed)
    return {name: list(islice(pairs, size)) for name, size in SIZES.items()}


def write(splits: dict[str, list[Pair]], output: Path) -> None:
    """Two files a split, `train.en` and `train.de`, line by line."""
    output.mkdir(parents=True, exist_ok=True)
    for name, pairs in splits.items():
        for side, language in enumerate(("en", "de")):
            text = "".join(pair[side] + "\n" for pair in pairs)
            (output / f"{name}.{language}").write_text(text, encoding="utf-8", newline="\n")


def main() -> None:
    """Read the command line and write the files."""
    parser = argparse.ArgumentParser(description="Write the sample corpus.")
    parser.add_argument("-o", "--output", type=Path, default=Path("data/sample"))
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    write(make(arguments.seed), arguments.output)


if __name__ == "__main__":
    main()
