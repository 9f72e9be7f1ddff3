from __future__ import annotations

import pytest

from listener.signals.redaction import Redactor


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("J'habite au 1234, rue Saint-Denis, app. 5 à Montréal", "J'habite au [address] à Montréal"),
        ("au 12 bis avenue du Parc.", "au [address]."),
        ("Mon père est au 45 boul. René-Lévesque Ouest", "Mon père est au [address]"),
        ("le 8 chemin de la Côte-des-Neiges, svp", "le [address], svp"),
        ("au 3 place Ville-Marie", "au [address]"),
        ("Née le 12 mars 1980", "Née le [date of birth]"),
        ("date de naissance : 1er août 1975", "date de naissance : [date of birth]"),
        ("DDN 1980-03-12", "DDN [date of birth]"),
        ("écris à jean.roy@exemple.ca", "écris à [email]"),
        ("jean point roy arobase gmail point com", "[email]"),
        ("carte soleil ROYJ 8003 1234", "carte soleil [health number]"),
        ("numéro de dossier 482913", "numéro de dossier [record number]"),
        ("appelle-moi au 514-555-0142", "appelle-moi au [phone]"),
    ],
)
def test_what_points_at_a_person_leaves_a_french_text(text, kept):
    assert Redactor().redact(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "8 heures d'attente à l'urgence",
        "3 cours de yoga par semaine",
        "2 places de libres au CHSLD",
        "12 ans de route avec eux",
        "Le 12 mars 2026 on annonce un nouveau pavillon",
        "une journée de fou, 15 patients",
        "chambre 412",
    ],
)
def test_what_points_at_nobody_stays(text):
    assert Redactor().redact(text) == text
