"""How the page looks, and the two things that it does: choose a project, choose a language."""

STYLE = """
:root{font-family:system-ui,-apple-system,"Hiragino Sans","Yu Gothic UI","Noto Sans CJK JP",
"IPAexGothic","IPAGothic",sans-serif;
color:#202124;background:#f5f6f8;line-height:1.5}
body{margin:0}
html[lang=ja] .lang-en,html[lang=en] .lang-ja{display:none}
header{background:#fff;border-bottom:1px solid #dadce0;padding:12px 24px;
display:flex;flex-wrap:wrap;gap:4px 24px;align-items:center}
h1{font-size:20px;margin:0}
header p{margin:0;color:#5f6368;font-size:14px}
form{margin-left:auto;display:flex;flex-wrap:wrap;gap:8px 16px;align-items:center;font-size:14px}
select,button{font:inherit;padding:4px 8px;border:1px solid #bdc1c6;border-radius:6px;background:#fff;max-width:240px}
button[aria-pressed=true]{background:#3a6ea5;color:#fff;border-color:#3a6ea5}
.languages button:first-child{border-radius:6px 0 0 6px;border-right:0}
.languages button:last-child{border-radius:0 6px 6px 0}
main{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:16px;
padding:16px 24px;max-width:1280px;box-sizing:border-box;margin:0 auto}
main[hidden]{display:none}
section{background:#fff;border:1px solid #dadce0;border-radius:10px;padding:14px 18px;min-width:0}
section.wide{grid-column:1/-1}
h2{font-size:17px;margin:0}
.how{margin:2px 0 8px;color:#5f6368;font-size:14px}
.stamp{margin:6px 0 0;color:#80868b;font-size:12px;text-align:right}
.nothing{color:#5f6368;padding:32px 0;text-align:center}
svg{display:block;width:100%;height:auto}
svg.narrow{display:none}
svg text{fill:#5f6368}
.grid{stroke:#e8eaed}.tick{stroke:#9aa0a6}
.area{opacity:.14}.layer{stroke:#fff;stroke-width:.5}
.line{fill:none;stroke-width:1.5}.strong{stroke-width:2.5}.dashed{stroke-dasharray:5 4}
.mark{stroke:#5f6368;stroke-dasharray:2 3}.now{stroke:#3a6ea5;stroke-dasharray:none}
svg text.note{fill:#3c4043;paint-order:stroke;stroke:#fff;stroke-width:3px}
.bar{fill:#3a6ea5}
.legend{list-style:none;margin:6px 0 0;padding:0;display:flex;flex-wrap:wrap;gap:2px 16px;font-size:13px;color:#3c4043}
.legend i{display:inline-block;width:14px;height:10px;margin-right:6px;border-radius:2px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;padding:5px 10px 5px 0;border-bottom:1px solid #e8eaed;vertical-align:top}
th{color:#5f6368;font-weight:600;white-space:nowrap}
td:first-child,td.number{white-space:nowrap}
.number{text-align:right;font-variant-numeric:tabular-nums}
@media(max-width:900px){main{grid-template-columns:minmax(0,1fr)}}
@media(max-width:600px){
header{padding:10px 14px}form{margin-left:0}main{padding:10px;gap:10px}section{padding:12px}
svg.wide{display:none}svg.narrow{display:block}
table{font-size:13px}th,td{padding-right:7px}th{white-space:normal}td:nth-child(4):not(.number),th:nth-child(4){white-space:nowrap}
}
@media print{header form{display:none}section{break-inside:avoid}}
"""

SCRIPT = """
const root=document.documentElement,choice=document.getElementById('project');
function show(){document.querySelectorAll('.view').forEach((view,number)=>view.hidden=String(number)!==choice.value)}
function speak(language){root.lang=language;
document.querySelectorAll('[data-lang]').forEach(b=>b.setAttribute('aria-pressed',b.dataset.lang===language));
document.querySelectorAll('option[data-ja]').forEach(o=>o.textContent=o.dataset[language])}
choice.addEventListener('change',show);
document.querySelectorAll('[data-lang]').forEach(b=>b.addEventListener('click',()=>speak(b.dataset.lang)));
const wanted=new URLSearchParams(location.hash.slice(1));
const key=wanted.get('project');
if(key)[...choice.options].forEach(o=>{if(o.textContent.startsWith(key+' '))choice.value=o.value});
speak(wanted.get('lang')||(navigator.language.startsWith('ja')?'ja':'en'));show();
"""
