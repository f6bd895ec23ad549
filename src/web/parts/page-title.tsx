import { useEffect } from "preact/hooks";
import { useApp } from "../app-context.ts";
import calm from "../icon.svg";
import one from "../icons/alert-1.svg";
import two from "../icons/alert-2.svg";
import three from "../icons/alert-3.svg";
import four from "../icons/alert-4.svg";
import five from "../icons/alert-5.svg";
import six from "../icons/alert-6.svg";
import seven from "../icons/alert-7.svg";
import eight from "../icons/alert-8.svg";
import nine from "../icons/alert-9.svg";
import more from "../icons/alert-more.svg";
import old from "../icons/alert-old.svg";

/** Files, since the page loads no image that a script made. */
const NUMBERED = [calm, one, two, three, four, five, six, seven, eight, nine];

/** Title and icon of the tab: how many criticals nobody has acknowledged, "?" when that is not known any more. */
export function PageTitle() {
  const { store, router } = useApp();
  const count = store.counts.value?.unacknowledged_critical ?? 0;
  const isMissing = store.counts.value === null && store.countsProblem.value !== null;
  const isOld = isMissing || store.isOld.value || store.connection.value.lostMs !== null;
  const { path } = router.place.value;
  useEffect(() => {
    const mark = isOld ? "(?) " : count > 0 ? `(${count}) ` : "";
    document.title = `${mark}${placeName(path)} · OpsPilot`;
    const icon = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
    if (icon) icon.href = isOld ? old : (NUMBERED[count] ?? more);
  }, [count, isOld, path]);
  return null;
}

function placeName(path: string): string {
  const [, , place = "", id = ""] = path.split("/");
  if (place === "") return "Now";
  if (place === "incidents" && id !== "") return `Incident #${id}`;
  return (place[0] ?? "").toUpperCase() + place.slice(1).replace("-", " ");
}
