{% for moment in var('moments') %}
select timestamp '{{ moment }}' as moment, then_.*
from ({{ backlog.issue_as_of("timestamp '" ~ moment ~ "'") }}) as then_
{{ "union all" if not loop.last }}
{% endfor %}
