# ruff: noqa: E501, RUF001
"""The labels of two development sets in nine languages, and their prompts."""

PROMPTS = {
    "en": "a photo of a {}",
    "de": "ein Foto von {}",
    "fr": "une photo de {}",
    "es": "una foto de {}",
    "it": "una foto di {}",
    "pt": "uma foto de {}",
    "nl": "een foto van {}",
    "ru": "фото {}",
    "zh": "{}的照片",
    "ja": "{}の写真",
}

# English, then de, fr, es, it, pt, nl, ru, zh, ja.
_TABLE = """
bedroom|Schlafzimmer|chambre à coucher|dormitorio|camera da letto|quarto|slaapkamer|спальня|卧室|寝室
coast|Küste|côte|costa|costa|costa|kust|побережье|海岸|海岸
forest|Wald|forêt|bosque|foresta|floresta|bos|лес|森林|森
highway|Autobahn|autoroute|autopista|autostrada|rodovia|snelweg|шоссе|高速公路|高速道路
industrial plant|Industrieanlage|usine|planta industrial|impianto industriale|fábrica|fabriek|завод|工厂|工場
inner city|Innenstadt|centre-ville|centro de la ciudad|centro città|centro da cidade|binnenstad|центр города|市中心|市街地
kitchen|Küche|cuisine|cocina|cucina|cozinha|keuken|кухня|厨房|台所
living room|Wohnzimmer|salon|sala de estar|soggiorno|sala de estar|woonkamer|гостиная|客厅|居間
mountain|Berg|montagne|montaña|montagna|montanha|berg|гора|山|山
office|Büro|bureau|oficina|ufficio|escritório|kantoor|офис|办公室|オフィス
open country|offenes Land|campagne|campo abierto|campagna aperta|campo aberto|open landschap|открытая местность|旷野|田園
store|Geschäft|magasin|tienda|negozio|loja|winkel|магазин|商店|店
street|Straße|rue|calle|strada|rua|straat|улица|街道|通り
suburb|Vorort|banlieue|barrio residencial|periferia|subúrbio|buitenwijk|пригород|郊区|郊外
tall building|Hochhaus|grand immeuble|edificio alto|edificio alto|edifício alto|hoog gebouw|высотное здание|高楼|高層ビル
dog|Hund|chien|perro|cane|cachorro|hond|собака|狗|犬
elephant|Elefant|éléphant|elefante|elefante|elefante|olifant|слон|大象|象
giraffe|Giraffe|girafe|jirafa|giraffa|girafa|giraf|жираф|长颈鹿|キリン
guitar|Gitarre|guitare|guitarra|chitarra|violão|gitaar|гитара|吉他|ギター
horse|Pferd|cheval|caballo|cavallo|cavalo|paard|лошадь|马|馬
house|Haus|maison|casa|casa|casa|huis|дом|房子|家
person|Person|personne|persona|persona|pessoa|persoon|человек|人|人
"""

LABELS = {
    english: dict(zip(list(PROMPTS)[1:], others, strict=True))
    for english, *others in (line.split("|") for line in _TABLE.strip().splitlines())
}
