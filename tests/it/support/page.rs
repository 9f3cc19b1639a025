//! What a person, or an attacker, finds on a page.

use super::Answer;

impl Answer {
    /// Whether the page has an element with this id.
    pub fn shows(&self, id: &str) -> bool {
        self.body.contains(&format!(" id=\"{id}\""))
    }

    /// An attribute of the element with this id, as a browser reads it; empty where there is none.
    pub fn attribute(&self, id: &str, name: &str) -> String {
        let Some(at) = self.body.find(&format!(" id=\"{id}\"")) else { return String::new() };
        let start = self.body[..at].rfind('<').unwrap_or_default();
        attribute(self.body[start..].split('>').next().unwrap_or_default(), name).unwrap_or_default()
    }

    /// The value of a hidden field.
    pub fn hidden(&self, name: &str) -> String {
        let fields = hidden_fields(&self.body);
        fields.into_iter().find(|(field, _)| field == name).map(|(_, value)| value).unwrap_or_default()
    }

    /// Where the main link of an error page leads; empty where there is none.
    pub fn way_back(&self) -> String {
        let Some((_, rest)) = self.body.split_once("<p class=\"aside\"><a") else { return String::new() };
        attribute(rest.split('>').next().unwrap_or_default(), "href").unwrap_or_default()
    }

    /// The machine-readable code on an error page.
    pub fn page_code(&self) -> &str {
        self.element("error-code")
    }

    /// The raw content of a small element.
    pub fn element(&self, id: &str) -> &str {
        let after = self.body.split_once(&format!("id=\"{id}\">")).map_or("", |(_, rest)| rest);
        after.split('<').next().unwrap_or_default()
    }
}

/// The hidden inputs of a page, unescaped.
pub fn hidden_fields(html: &str) -> Vec<(String, String)> {
    html.split("<input")
        .skip(1)
        .filter_map(|tag| tag.split('>').next())
        .filter(|tag| tag.contains("type=\"hidden\""))
        .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?)))
        .collect()
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    Some(unescape(rest.split('"').next()?))
}

fn unescape(text: &str) -> String {
    let named = [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")];
    named.into_iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}
