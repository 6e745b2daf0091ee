// The tab's secret: exchanges the address's one-time code for it, keeps it in sessionStorage. Cookies do not know ports.

const KEY = "quiver-secret";

/** Null where there is neither a secret nor a valid code. @returns {Promise<string | null>} */
export async function tabSecret() {
	const code = new URLSearchParams(location.hash.slice(1)).get("code");
	if (code !== null) {
		// Before anything else: the code is not to stay in the address bar or the history.
		history.replaceState(null, "", location.pathname);
		const answer = await fetch("/session", { method: "POST", headers: { "Content-Type": "application/json" },
			body: JSON.stringify({ code }) }).catch(() => null);
		if (answer?.ok) sessionStorage.setItem(KEY, (await answer.json()).secret);
	}
	return sessionStorage.getItem(KEY);
}

export const forgetSecret = () => sessionStorage.removeItem(KEY);
