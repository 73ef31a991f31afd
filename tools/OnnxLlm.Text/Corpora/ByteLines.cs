namespace OnnxLlm.Text.Corpora;

/// <summary>The lines of a file as bytes, so that what is not UTF-8 is seen rather than silently replaced.</summary>
public static class ByteLines
{
    /// <summary>Line by line, without their ends.</summary>
    public static IEnumerable<byte[]> Read(string path)
    {
        using var stream = File.OpenRead(path);
        byte[] buffer = new byte[1 << 16];
        int filled = 0;
        for (int read; (read = stream.Read(buffer, filled, buffer.Length - filled)) > 0;)
        {
            filled += read;
            int start = 0;
            for (int end; (end = buffer.AsSpan(start, filled - start).IndexOf((byte)'\n')) >= 0; start += end + 1)
                yield return buffer[start..(start + end)];
            buffer.AsSpan(start, filled - start).CopyTo(buffer);
            filled -= start;
            if (filled == buffer.Length)
                Array.Resize(ref buffer, buffer.Length * 2);
        }
        if (filled > 0)
            yield return buffer[..filled];
    }
}
