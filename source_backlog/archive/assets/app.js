// The language of the pages: that of the space, or the other one, which then goes along with every link.
(() => {
  "use strict";
  const root = document.documentElement;
  const own = root.lang;
  const asked = new URLSearchParams(location.search).get("lang");
  const isPage = /^(?![a-z][a-z0-9+.-]*:|#|\/\/)[^?#]*\.html(?=$|[?#])/i;

  const carried = (href) => {
    if (!isPage.test(href)) return href;
    const [, page, query, anchor] = /^([^?#]*)(\?[^#]*)?(#.*)?$/.exec(href);
    const parameters = new URLSearchParams(query || "");
    if (root.lang === own) parameters.delete("lang");
    else parameters.set("lang", root.lang);
    const given = parameters.toString();
    return page + (given ? "?" + given : "") + (anchor || "");
  };

  const speak = (language) => {
    root.lang = language;
    const words = WORDS[language];
    for (const element of document.querySelectorAll("[data-t]")) element.textContent = words[element.dataset.t];
    for (const element of document.querySelectorAll("[data-t-label]")) {
      element.setAttribute("aria-label", words[element.dataset.tLabel]);
      if (element.placeholder !== undefined) element.placeholder = words[element.dataset.tLabel];
    }
    for (const link of document.querySelectorAll("a[href]")) {
      link.setAttribute("href", carried(link.getAttribute("href")));
    }
    for (const button of document.querySelectorAll("[data-language]")) {
      button.setAttribute("aria-pressed", button.dataset.language === language);
    }
    for (const field of document.querySelectorAll("input[name=lang]")) {
      field.value = language;
      field.disabled = language === own;
    }
  };

  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      speak(button.dataset.language);
      const parameters = new URLSearchParams(location.search);
      if (root.lang === own) parameters.delete("lang");
      else parameters.set("lang", root.lang);
      const given = parameters.toString();
      // A page from a disk may not change its address in every browser; the links carry the language all the same.
      try { history.replaceState(null, "", location.pathname + (given ? "?" + given : "") + location.hash); } catch {}
    });
  }
  window.ARCHIVE = { carried };
  speak(asked in WORDS ? asked : own);
})();
