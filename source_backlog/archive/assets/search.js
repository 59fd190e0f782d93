// The offline search: takes a question apart as search.py does with the pages, and loads the scripts that it needs.
(() => {
  "use strict";
  const run = "\\u3005-\\u3007\\u3041-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uac00-\\ud7af\\uf900-\\ufaff\\u{20000}-\\u{3ffff}";
  const pattern = new RegExp(`([a-z][a-z0-9_]*-[0-9]+)|([${run}]+)|((?:(?![${run}])[\\p{L}\\p{N}_])+)`, "gu");
  const AT_ONCE = 30;
  const shards = { words: new Map(), pages: new Map() };
  let manifest = null;

  const load = (name) => new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = `search/${name}.js`;
    script.onload = script.onerror = resolve;
    document.head.append(script);
  });
  window.SEARCH = {
    manifest: (given) => { manifest = given; },
    words: (number, entries) => shards.words.set(number, entries),
    pages: (number, entries) => shards.pages.set(number, entries),
  };
  const shard = async (kind, number) => {
    if (!shards[kind].has(number)) await load(`${kind}-${number}`);
    return shards[kind].get(number) || [];
  };

  // [word, whether it may be the beginning of one]
  const wanted = (question) => {
    const words = new Map();
    for (const [, key, text, word] of question.normalize("NFKC").toLowerCase().matchAll(pattern)) {
      if (key) words.set(key, false);
      else if (word) words.set(word.slice(0, 60), true);
      else {
        const characters = Array.from(text);
        if (characters.length === 1) words.set(text, true);
        for (let at = 0; at + 1 < characters.length; at++) words.set(characters[at] + characters[at + 1], false);
      }
    }
    return [...words];
  };

  // Page -> whether its title has the word.
  const pagesOf = async (word, isBeginning) => {
    const firsts = manifest.words;
    const last = isBeginning ? word + "\uffff" : word;
    let begin = firsts.findIndex((first) => first >= word);
    begin = Math.max(0, (begin < 0 ? firsts.length : begin) - 1);
    const found = new Map();
    for (let number = begin; number < firsts.length && firsts[number] <= last; number++) {
      const entries = await shard("words", number);
      for (let at = 0; at < entries.length; at += 2) {
        if (isBeginning ? !entries[at].startsWith(word) : entries[at] !== word) continue;
        let page = 0;
        for (const step of entries[at + 1].split(" ")) {
          page += parseInt(step, 36);
          found.set(page >> 1, found.get(page >> 1) || Boolean(page & 1));
        }
      }
    }
    return found;
  };

  const find = async (question) => {
    let ranks = null;
    for (const [word, isBeginning] of wanted(question)) {
      const pages = await pagesOf(word, isBeginning);
      const before = ranks || new Map([...pages.keys()].map((page) => [page, 0]));
      ranks = new Map();
      for (const [page, rank] of before) if (pages.has(page)) ranks.set(page, rank + (pages.get(page) ? 1 : 0));
    }
    return [...(ranks || [])].sort(([a, x], [b, y]) => y - x || a - b).map(([page]) => page);
  };

  const entry = async (page) => {
    const firsts = manifest.pages;
    let number = firsts.findIndex((first) => first > page);
    number = (number < 0 ? firsts.length : number) - 1;
    return (await shard("pages", number))[page - firsts[number]];
  };

  const make = (tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text) element.textContent = text;
    return element;
  };
  const show = async (pages, list) => {
    for (const page of pages) {
      const [kind, title, address, place, excerpt] = await entry(page);
      const item = make("li");
      const link = make("a", "", title);
      link.href = ARCHIVE.carried(address);
      const what = make("span", "place");
      const word = make("span", "", WORDS[document.documentElement.lang][kind]);
      word.dataset.t = kind;
      what.append(word, ` · ${place}`);
      item.append(link, what, make("p", "", excerpt));
      list.append(item);
    }
  };
  const said = (name) => {
    const word = make("span", "", WORDS[document.documentElement.lang][name]);
    word.dataset.t = name;
    return word;
  };

  const start = async () => {
    const question = new URLSearchParams(location.search).get("q") || "";
    for (const field of document.querySelectorAll("input[name=q]")) field.value = question;
    if (!question.trim()) return;
    const count = document.getElementById("count");
    const list = document.getElementById("results");
    const more = document.getElementById("more");
    count.replaceChildren(said("search_searching"));
    await load("manifest");
    const pages = manifest ? await find(question) : [];
    let shown = 0;
    const next = async () => {
      const part = pages.slice(shown, shown + AT_ONCE);
      shown += part.length;
      more.hidden = shown >= pages.length;
      await show(part, list);
    };
    more.addEventListener("click", next);
    await next();
    count.replaceChildren(...(pages.length ? [`${pages.length.toLocaleString("en")} `, said("search_results")] : [said("search_nothing")]));
    count.dataset.done = String(pages.length);
  };
  start();
})();
