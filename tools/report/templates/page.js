// Adds a button to each command that copies it.  Without scripts the text can still be selected.
for (const box of document.querySelectorAll(".cmd")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "copy";
  button.addEventListener("click", async () => {
    const code = box.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      const range = document.createRange();
      range.selectNodeContents(code);
      const selection = getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      document.execCommand("copy");
    }
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
  box.append(button);
}
// A link to a finding opens its timeline.
const open = () => {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  const timeline = target && target.querySelector("details.timeline");
  if (timeline) timeline.open = true;
};
addEventListener("hashchange", open);
open();
