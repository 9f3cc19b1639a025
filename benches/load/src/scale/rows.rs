//! Rows in the binary format of COPY, and where their contents come from.

use uuid::Uuid;

/// 2000-01-01, from which PostgreSQL counts, in microseconds after 1970-01-01.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const OID_OF_TEXT: i32 = 25;

/// Rows of one COPY.
pub struct Rows(Vec<u8>);

impl Rows {
    /// None yet.
    pub fn new() -> Self {
        Self(HEADER.to_vec())
    }

    /// Begins a row of so many columns; they follow in order.
    pub fn row(&mut self, columns: i16) -> &mut Self {
        self.0.extend(columns.to_be_bytes());
        self
    }

    /// bytea, and text as well.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.length(value.len());
        self.0.extend(value);
        self
    }

    /// text.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    /// text, or NULL.
    pub fn optional(&mut self, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            return self.text(value);
        }
        self.0.extend((-1_i32).to_be_bytes());
        self
    }

    /// jsonb.
    pub fn json(&mut self, value: &str) -> &mut Self {
        self.length(value.len() + 1);
        self.0.push(1);
        self.0.extend(value.as_bytes());
        self
    }

    /// boolean.
    pub fn boolean(&mut self, value: bool) -> &mut Self {
        self.bytes(&[u8::from(value)])
    }

    /// integer.
    pub fn integer(&mut self, value: i32) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    /// uuid.
    pub fn uuid(&mut self, value: Uuid) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    /// timestamptz, from microseconds after 1970-01-01.
    pub fn time(&mut self, micros: i64) -> &mut Self {
        self.bytes(&(micros - POSTGRES_EPOCH).to_be_bytes())
    }

    /// text[].
    pub fn texts(&mut self, values: &[String]) -> &mut Self {
        let start = self.0.len();
        self.length(0);
        // Dimensions, whether there are nulls, the type; then how many there are and the number of the first.
        let dimensions = i32::from(!values.is_empty());
        for number in [dimensions, 0, OID_OF_TEXT] {
            self.0.extend(number.to_be_bytes());
        }
        if !values.is_empty() {
            self.length(values.len());
            self.length(1);
        }
        for value in values {
            self.text(value);
        }
        let length = i32::try_from(self.0.len() - start - 4).unwrap_or(i32::MAX);
        self.0[start..start + 4].copy_from_slice(&length.to_be_bytes());
        self
    }

    /// All of them, with the mark of the end.
    pub fn end(mut self) -> Vec<u8> {
        self.0.extend((-1_i16).to_be_bytes());
        self.0
    }

    fn length(&mut self, length: usize) {
        self.0.extend(i32::try_from(length).unwrap_or(i32::MAX).to_be_bytes());
    }
}

/// `SplitMix64`: numbers that look random and are the same in every run.
pub struct Numbers(pub u64);

impl Numbers {
    /// The next one.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut hash = self.0;
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        hash ^ (hash >> 31)
    }

    /// One below this limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// One below this limit, as a length of time.
    pub fn span(&mut self, limit: i64) -> i64 {
        i64::try_from(self.below(u64::try_from(limit).unwrap_or(1).max(1))).unwrap_or(0)
    }

    /// Random bytes, as of a digest.
    pub fn digest(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_exact_mut(8) {
            chunk.copy_from_slice(&self.next().to_be_bytes());
        }
        bytes
    }

    /// A time-ordered id, as the server makes them (RFC 9562 §5.7).
    pub fn uuid_v7(&mut self, micros: i64) -> Uuid {
        let mut random = [0; 10];
        random.copy_from_slice(&self.digest()[..10]);
        uuid::Builder::from_unix_timestamp_millis(u64::try_from(micros / 1000).unwrap_or(0), &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_says_how_long_it_is_and_how_many_texts_it_has() {
        let mut rows = Rows::new();
        rows.row(1).texts(&["ab".to_owned()]);
        let bytes = rows.end();
        let expected: [i32; 7] = [26, 1, 0, OID_OF_TEXT, 1, 1, 2];
        let numbers: Vec<u8> = expected.iter().flat_map(|number| number.to_be_bytes()).collect();
        assert_eq!(bytes[HEADER.len()..], [&[0, 1][..], &numbers, b"ab", &[255, 255]].concat());
    }
}
