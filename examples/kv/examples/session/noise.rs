//! Sends the same noise to two servers, made of pieces of the protocol, and
//! compares all that comes back.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

const TRIES: usize = 3_000;
const MOST_PIECES: usize = 12;

const PIECES: &[&[u8]] = &[
    b"*1\r\n",
    b"*2\r\n",
    b"*3\r\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"*1\rX",
    b"*99999999999\r\n",
    b"*",
    b"$4\r\nPING\r\n",
    b"$3\r\nGET\r\n",
    b"$3\r\nSET\r\n",
    b"$1\r\na\r\n",
    b"$0\r\n\r\n",
    b"$",
    b"$-1\r\n",
    b"$99999999999\r\n",
    b"*2\r\n$4\r\nECHO\r\n$5\r\nhe\r\nl\r\n",
    b"PING\r\n",
    b"GET a\r\n",
    b"INCR n\n",
    b"LPUSH l 1 2\r\n",
    b"LRANGE l 0 -1\r\n",
    b"ECHO ",
    b"\"a b\"",
    b"'",
    b"\"",
    b"\\x41",
    b"\\",
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"\t",
    b"\x0b",
    b"\xff",
    b"-1",
    b"9",
    b"x",
    b":",
    b"+",
    b"POST",
    b"host:",
];

/// Compares the two until they differ.
pub(crate) fn run(one: SocketAddr, other: SocketAddr) -> Result<(), Box<dyn Error>> {
    let seed = fastrand::u64(..);
    println!("comparing {TRIES} pieces of noise, seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..TRIES {
        let pieces = (1..random.usize(2..=MOST_PIECES)).map(|_| random.choice(PIECES));
        let noise: Vec<u8> = pieces.flatten().copied().flatten().copied().collect();
        let [first, second] = [answer(one, &noise)?, answer(other, &noise)?];
        if first != second {
            let [noise, first, second] =
                [&noise, &first, &second].map(|bytes| bytes.escape_ascii().to_string());
            return Err(format!("{noise}\n  one:   {first}\n  other: {second}").into());
        }
    }
    Ok(())
}

/// What a server that has forgotten everything answers until it hangs up.
fn answer(address: SocketAddr, noise: &[u8]) -> io::Result<Vec<u8>> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    socket.write_all(b"FLUSHALL\r\n")?;
    socket.read_exact(&mut [0; b"+OK\r\n".len()])?;
    socket.write_all(noise)?;
    socket.shutdown(Shutdown::Write)?;
    let mut answer = Vec::new();
    match socket.read_to_end(&mut answer) {
        // A server that hangs up before it has read all resets the connection.
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
        Ok(_) | Err(_) => Ok(answer),
    }
}
