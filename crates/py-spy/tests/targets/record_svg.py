"""Reads flame graphs with an XML parser: prints, as JSON, the tooltip and the depth of every frame.

{"title": text, "frames": [[tooltip, y], ...]}
"""
import json
import sys
import xml.etree.ElementTree as tree

SVG = "{http://www.w3.org/2000/svg}"

root = tree.parse(sys.argv[1]).getroot()
assert root.tag == SVG + "svg", root.tag
texts = [node for node in root.iter(SVG + "text") if node.get("id") == "title"]
frames = []
for group in root.iter():
    title, rect = group.find(SVG + "title"), group.find(SVG + "rect")
    if title is not None and rect is not None:
        frames.append([title.text, float(rect.get("y"))])
print(json.dumps({"title": "".join(text for node in texts for text in node.itertext()), "frames": frames}))
