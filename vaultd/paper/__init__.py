"""What is printed: pages with English and Chinese side by side, and QR codes that are read back.

``both``   a text in both languages
``page``   A4 pages by fpdf2: the fonts, the few shapes that sheets are drawn with, and which characters a font lacks
``codes``  QR codes by segno; reading them back from pictures by zbarimg
"""
