"""For pages of the administration, which stand on the record and know no veil: what is drawn there is masked as in the room."""

from django import template
from django.utils.safestring import SafeString

from .. import veil

register = template.Library()


class ForReader(template.Node):
    """What is drawn under the veil of who reads, which knows the values of these texts."""

    def __init__(self, texts: template.base.FilterExpression, nodelist: template.NodeList) -> None:
        self.texts, self.nodelist = texts, nodelist

    def render(self, context: template.Context) -> SafeString:
        person, texts = context["request"].user, self.texts.resolve(context) or ()
        over = veil.for_person(person).over(texts)
        with veil.drawn(over):
            return self.nodelist.render(context)


@register.tag
def maskedfor(parser: template.base.Parser, token: template.base.Token) -> ForReader:
    """Draw what stands up to `endmaskedfor` with the sensitive values of these texts masked, as far as the reader has no clearance."""
    _, texts = token.split_contents()
    nodelist = parser.parse(("endmaskedfor",))
    parser.delete_first_token()
    return ForReader(parser.compile_filter(texts), nodelist)
