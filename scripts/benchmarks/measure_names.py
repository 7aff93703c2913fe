"""Measure how many names a model brings through: people, places and products.

The sentences are templates filled with names that are written alike in both languages. A name is
right where the translation has it as a whole word, or in the genitive.
"""

import json
import random
import time
from pathlib import Path
from typing import Annotated

import typer

from seq2seq.text.names import has_name
from seq2seq.translation.translator import Translator

_PEOPLE = (
    "Smith Okonkwo Kowalczyk Nakamura Papadopoulos Szymborska Thistlethwaite Ramanujan Achterberg "
    "Bjarnason Mbeki Ferreira Dvorak Hutchinson Zhukov Villanueva Beauchamp Eichendorff Novak "
    "Tawhiri Lindqvist Featherstone Kimathi Berenson Ashcroft Yilmaz Oduya Whitlock Marchetti "
    "Petrossian Schwarzkopf Delacroix Iturbide Goldsworthy Hrabal Kipchoge Wozniak Quispe Bancroft"
)
_PLACES = (
    "Orakei Timaru Ouarzazate Llandudno Tarazona Wollongong Saskatoon Knoxville Ludlow Zwolle "
    "Kampala Cuenca Bremerhaven Chattanooga Paderborn Whanganui Kumasi Lublin Aberystwyth Mendoza "
    "Vitebsk Nagoya Albuquerque Dijon Gijon Ulan-Ude Tromso Makassar Poughkeepsie Cuxhaven Nyeri "
    "Hobart Antofagasta Tampere Grenoble Salford Quetzaltenango Waikato Penzance Izmir"
)
_PRODUCTS = (
    "Nespresso Photoshop Nutella Thermomix Kubernetes Tupperware Skype Zalando Fiat Lego Vespa "
    "Firefox Samsung Rolex Playmobil Dropbox Corolla Kindle Spotify Nikon Wikipedia Pringles"
)
_TEMPLATES = {
    "en": (
        "Dr. {person} lives in {place}.",
        "I met Mrs. {person} in {place}.",
        "My brother works for {product} in {place}.",
        "Have you ever been to {place}?",
        "Yesterday {person} bought a {product}.",
        "Please give this letter to Mr. {person}.",
        "We went from {place} to {other} by train.",
        "She says that {product} is too expensive.",
        "Did {person} call you last night?",
        "He was born in {place} and never left.",
    ),
    "de": (
        "Dr. {person} wohnt in {place}.",
        "Ich habe Frau {person} in {place} getroffen.",
        "Mein Bruder arbeitet bei {product} in {place}.",
        "Warst du schon einmal in {place}?",
        "Gestern hat {person} mir geholfen.",
        "Bitte geben Sie Herrn {person} diesen Brief.",
        "Wir sind mit dem Zug von {place} nach {other} gefahren.",
        "Sie sagt, dass {product} zu teuer ist.",
        "Hat {person} dich gestern angerufen?",
        "Er ist in {place} geboren.",
    ),
    "fr": (
        "Le docteur {person} habite à {place}.",
        "J'ai rencontré Mme {person} à {place}.",
        "Mon frère travaille chez {product} à {place}.",
        "Es-tu déjà allé à {place} ?",
        "Hier, {person} m'a aidé.",
        "Donnez cette lettre à M. {person}, s'il vous plaît.",
        "Nous sommes allés de {place} à {other} en train.",
        "Elle dit que {product} est trop cher.",
        "Est-ce que {person} t'a appelé hier ?",
        "Il est né à {place}.",
    ),
    "es": (
        "El doctor {person} vive en {place}.",
        "Conocí a la señora {person} en {place}.",
        "Mi hermano trabaja para {product} en {place}.",
        "¿Has estado alguna vez en {place}?",
        "Ayer {person} me ayudó.",
        "Por favor, dele esta carta al señor {person}.",
        "Fuimos de {place} a {other} en tren.",
        "Ella dice que {product} es demasiado caro.",
        "¿Te llamó {person} ayer?",
        "Nació en {place}.",
    ),
}


def sentences(language: str, number: int, seed: int) -> list[tuple[str, list[str]]]:
    """Make sentences, each with the names in it."""
    draw = random.Random(seed)
    templates = _TEMPLATES[language]
    made = []
    for i in range(number):
        place, other = draw.sample(_PLACES.split(), 2)
        names = {
            "person": draw.choice(_PEOPLE.split()),
            "place": place,
            "other": other,
            "product": draw.choice(_PRODUCTS.split()),
        }
        template = templates[i % len(templates)]
        held = [name for role, name in names.items() if f"{{{role}}}" in template]
        made.append((template.format(**names), held))
    return made


def main(
    models: Annotated[list[Path], typer.Argument(help="Model directories.")],
    number: Annotated[int, typer.Option(help="Sentences for each direction.")] = 50,
    seed: int = 1,
    guard: Annotated[bool, typer.Option(help="Check the translations.")] = True,
    show: Annotated[bool, typer.Option(help="Print each sentence with a wrong name.")] = False,
) -> None:
    """Print one JSON object for each direction of each model."""
    for model in models:
        translator = Translator(model, threads=1)
        for direction in translator.directions:
            examples = sentences(direction.source, number, seed)
            began = time.process_time()
            translations = translator.translate(
                [text for text, _ in examples],
                source=direction.source,
                target=direction.target,
                guard=guard,
            )
            seconds = time.process_time() - began
            right = total = 0
            for (text, names), translation in zip(examples, translations, strict=True):
                lost = [name for name in names if not has_name(translation.text, name)]
                total += len(names)
                right += len(names) - len(lost)
                if lost and show:
                    typer.echo(f"{text} -> {translation.text} {[*translation.notes]}")
            typer.echo(
                json.dumps(
                    {
                        "model": model.name,
                        "direction": f"{direction.source}-{direction.target}",
                        "names": total,
                        "right": round(right / total, 3),
                        "cpu_seconds": round(seconds, 1),
                    }
                )
            )


if __name__ == "__main__":
    typer.run(main)
