"""What a mention is for, and its tone: how they follow from probabilities, and what plain texts get."""

from __future__ import annotations

import numpy as np
import pytest

from listener.mention import Purpose, Sentiment
from listener.signals.analysis import Analyzer, _purposes, _tones
from listener.signals.models import shipped_models

# --- purposes


@pytest.mark.parametrize(
    ("text", "purpose"),
    [
        ("We waited nine hours in the emergency department and nobody told us anything.", Purpose.EXPERIENCE),
        ("My dad had surgery last week and the staff were wonderful.", Purpose.EXPERIENCE),
        ("My son broke his arm and we spent eleven hours in emergency.", Purpose.EXPERIENCE),
        ("I gave birth here in March and my nurse stayed with me the whole night.", Purpose.EXPERIENCE),
        ("Does anyone know the visiting hours at St. Elsewhere?", Purpose.QUESTION),
        ("Can someone tell me where to park at the hospital?", Purpose.QUESTION),
        ("Does anyone know if the walk-in clinic is open on Sundays?", Purpose.QUESTION),
        ("We are hiring! Registered nurses wanted, full time. Apply now.", Purpose.RECRUITMENT),
        ("Job posting: personal support worker, part time, $25 an hour. Apply now.", Purpose.RECRUITMENT),
        ("Please donate to the hospital foundation: every dollar helps buy a new MRI.", Purpose.PHILANTHROPY),
        ("Our charity gala raised $50,000 for the hospital foundation.", Purpose.PHILANTHROPY),
        ("Hospital board approves $40 million budget for new wing, minister says", Purpose.NEWS),
        ("Police say two people were taken to hospital after a crash on Highway 401.", Purpose.NEWS),
        ("Watching the game tonight, go Leafs go!", Purpose.OTHER),
        ("Happy birthday to my best friend, see you tonight!", Purpose.OTHER),
    ],
)
def test_what_a_plain_english_text_is_for(analyzer: Analyzer, text: str, purpose: Purpose) -> None:
    assert analyzer.analyze(text, language_hint="en").purpose == purpose


@pytest.mark.parametrize(
    ("text", "purpose"),
    [
        ("J'ai attendu neuf heures aux urgences et personne ne m'a parl\u00e9.", Purpose.EXPERIENCE),
        ("Ma m\u00e8re a \u00e9t\u00e9 op\u00e9r\u00e9e la semaine derni\u00e8re.", Purpose.EXPERIENCE),
        (
            "J'ai accouch\u00e9 ici et l'infirmi\u00e8re est rest\u00e9e avec moi toute la nuit.",
            Purpose.EXPERIENCE,
        ),
        ("Est-ce que quelqu'un sait si la clinique est ouverte le dimanche ?", Purpose.QUESTION),
        ("Savez-vous o\u00f9 je peux me stationner pr\u00e8s de l'h\u00f4pital ?", Purpose.QUESTION),
        ("Nous recrutons ! Infirmi\u00e8res recherch\u00e9es, temps plein. Postulez.", Purpose.RECRUITMENT),
        ("Offre d'emploi : pr\u00e9pos\u00e9, temps plein. Envoyez votre CV.", Purpose.RECRUITMENT),
        ("Faites un don \u00e0 la fondation de l'h\u00f4pital : chaque dollar compte.", Purpose.PHILANTHROPY),
        (
            "La fondation de l'h\u00f4pital amasse 50 000 $ gr\u00e2ce \u00e0 sa campagne de dons.",
            Purpose.PHILANTHROPY,
        ),
        ("Le ministre annonce 40 millions de dollars pour agrandir l'urgence.", Purpose.NEWS),
        (
            "Deux personnes transport\u00e9es \u00e0 l'h\u00f4pital apr\u00e8s un accident sur l'autoroute.",
            Purpose.NEWS,
        ),
    ],
)
def test_what_a_plain_french_text_is_for(analyzer: Analyzer, text: str, purpose: Purpose) -> None:
    assert analyzer.analyze(text, language_hint="fr").purpose == purpose


def purposes(**scores: float) -> np.ndarray:
    return np.array([[scores.get(label, 0.0) for label in shipped_models().purposes]])


def test_a_mention_whose_care_is_certain_is_counted_and_an_uncertain_one_is_looked_at() -> None:
    models = shipped_models()
    low, high = models.left_out_to, models.counted_from
    for care, needs_review in [
        (1.0, False),
        (high, False),
        (high - 0.001, True),
        (0.5, True),
        (0.499, True),
        (low + 0.001, True),
        (low, False),
        (0.0, False),
    ]:
        (found,) = _purposes(purposes(experience=care, news=1 - care), models)
        told = Purpose.EXPERIENCE if care >= 0.5 else Purpose.NEWS
        assert (found.purpose, found.needs_review) == (told, needs_review), care
        assert found.score == round(max(care, 1 - care), 4)


@pytest.mark.parametrize(
    ("scores", "purpose"),
    [
        # Two purposes of care outweigh one that is greater than each.
        ({"experience": 0.25, "question": 0.3, "news": 0.45}, Purpose.QUESTION),
        ({"experience": 0.45, "news": 0.3, "other": 0.25}, Purpose.NEWS),
        ({"promotion": 0.6, "philanthropy": 0.4}, Purpose.PROMOTION),
        ({"recruitment": 1.0}, Purpose.RECRUITMENT),
    ],
)
def test_care_or_not_is_decided_first(scores: dict[str, float], purpose: Purpose) -> None:
    assert [found.purpose for found in _purposes(purposes(**scores), shipped_models())] == [purpose]


# --- sentiment


@pytest.mark.parametrize(
    ("text", "sentiment"),
    [
        ("The nurses were wonderful, kind and caring.", Sentiment.POSITIVE),
        ("Excellent care from start to finish, thank you so much.", Sentiment.POSITIVE),
        ("I am so grateful to the amazing team who saved my life.", Sentiment.POSITIVE),
        ("I love this hospital, the doctors were brilliant and so caring.", Sentiment.POSITIVE),
        ("What a fantastic team, I could not have asked for better care.", Sentiment.POSITIVE),
        ("Filthy rooms, awful food, horrible doctors.", Sentiment.NEGATIVE),
        ("The staff were rude and nobody cared. Disgusting.", Sentiment.NEGATIVE),
        ("I am so angry, they left my mother in pain for hours.", Sentiment.NEGATIVE),
        ("Appalling care, my father was ignored all night.", Sentiment.NEGATIVE),
        ("I hate this place, rude receptionist and filthy toilets.", Sentiment.NEGATIVE),
        ("Never going back, the worst night of my life.", Sentiment.NEGATIVE),
        ("I have my scan at the General tomorrow at 9.", Sentiment.NEUTRAL),
        ("Does anyone know the visiting hours at St. Elsewhere?", Sentiment.NEUTRAL),
        ("Can someone tell me where to park at the hospital?", Sentiment.NEUTRAL),
    ],
)
def test_the_tone_of_a_plain_english_text(analyzer: Analyzer, text: str, sentiment: Sentiment) -> None:
    assert analyzer.analyze(text, language_hint="en").sentiment == sentiment


@pytest.mark.parametrize(
    ("text", "sentiment"),
    [
        (
            "Les infirmi\u00e8res \u00e9taient merveilleuses, un grand merci \u00e0 toute l'\u00e9quipe.",
            Sentiment.POSITIVE,
        ),
        ("Excellent service, personnel tr\u00e8s gentil et \u00e0 l'\u00e9coute.", Sentiment.POSITIVE),
        ("Je recommande cet h\u00f4pital, des soins exceptionnels.", Sentiment.POSITIVE),
        ("Merci infiniment au personnel, vous \u00eates extraordinaires.", Sentiment.POSITIVE),
        ("Tr\u00e8s satisfait, accueil chaleureux et m\u00e9decins comp\u00e9tents.", Sentiment.POSITIVE),
        ("Service horrible, le personnel est impoli.", Sentiment.NEGATIVE),
        ("Horrible exp\u00e9rience, je ne reviendrai jamais.", Sentiment.NEGATIVE),
        ("Attente interminable, chambres sales, personnel d\u00e9sagr\u00e9able.", Sentiment.NEGATIVE),
        ("Une honte. Ma m\u00e8re a souffert pendant des heures.", Sentiment.NEGATIVE),
        ("Est-ce que quelqu'un conna\u00eet les heures de visite de l'h\u00f4pital ?", Sentiment.NEUTRAL),
        ("Savez-vous o\u00f9 je peux me stationner pr\u00e8s de l'h\u00f4pital ?", Sentiment.NEUTRAL),
    ],
)
def test_the_tone_of_a_plain_french_text(analyzer: Analyzer, text: str, sentiment: Sentiment) -> None:
    assert analyzer.analyze(text, language_hint="fr").sentiment == sentiment


@pytest.mark.parametrize(
    ("whole", "clauses", "sentiment", "parts"),
    [
        ((0.1, 0.1, 0.8), [(0.1, 0.1, 0.8)], Sentiment.POSITIVE, (0.8, 0.1)),
        ((0.8, 0.1, 0.1), [(0.8, 0.1, 0.1)], Sentiment.NEGATIVE, (0.1, 0.8)),
        ((0.2, 0.6, 0.2), [(0.2, 0.6, 0.2)], Sentiment.NEUTRAL, (0.2, 0.2)),
        # Both strong, and the whole leans to neither: mixed.
        ((0.6, 0.1, 0.3), [(0.9, 0.05, 0.05), (0.1, 0.2, 0.7)], Sentiment.NEUTRAL, (0.7, 0.9)),
        # One clause is too weak.
        ((0.6, 0.1, 0.3), [(0.9, 0.05, 0.05), (0.1, 0.4, 0.5)], Sentiment.NEGATIVE, (0.5, 0.9)),
        # The whole leans far.
        ((0.8, 0.1, 0.1), [(0.9, 0.05, 0.05), (0.1, 0.1, 0.8)], Sentiment.NEGATIVE, (0.8, 0.9)),
    ],
)
def test_two_strong_tones_make_a_text_neutral(
    whole: tuple[float, ...],
    clauses: list[tuple[float, ...]],
    sentiment: Sentiment,
    parts: tuple[float, float],
) -> None:
    (found,) = _tones(np.array([whole]), np.array(clauses), [range(len(clauses))])
    assert found.sentiment == sentiment
    assert (found.positive, found.negative) == parts
    assert found.score == round(whole[2] - whole[0], 4)


MIXED = "The nurses were wonderful and so kind, but we waited nine hours and the room was filthy."
MIXED_FR = (
    "Les infirmi\u00e8res \u00e9taient adorables et tr\u00e8s douces, mais l'attente \u00e9tait horrible "
    "et les toilettes d\u00e9go\u00fbtantes."
)


@pytest.mark.parametrize(("text", "language"), [(MIXED, "en"), (MIXED_FR, "fr")])
def test_of_a_mixed_text_both_parts_are_kept(analyzer: Analyzer, text: str, language: str) -> None:
    signals = analyzer.analyze(text, language_hint=language)
    assert signals.positive_part is not None
    assert signals.negative_part is not None
    assert signals.sentiment_score is not None
    assert min(signals.positive_part, signals.negative_part) > 0.4
    assert abs(signals.sentiment_score) < 0.5
