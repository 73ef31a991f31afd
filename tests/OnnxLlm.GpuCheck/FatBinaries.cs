using System.Buffers.Binary;
using System.Globalization;

namespace OnnxLlm.GpuCheck;

/// <summary>
/// A CUDA library holds each of its kernels several times, once for each generation of GPUs, in containers that the driver takes its pick of by their
/// headers. Filled with zeros, what it would not pick on the GPU at hand compresses to nothing; headers and addresses stay, so the library works as before there.
/// </summary>
internal static class FatBinaries
{
    private const uint Magic = 0xBA55ED50;
    private const int Machine = 2, HeaderLength = 16, CapabilityOffset = 28;

    /// <summary>Empties what other GPUs would run. A container without anything for this one stays as it is.</summary>
    /// <param name="path">The library, which is changed.</param>
    /// <param name="capability">Such as 90.</param>
    public static string Keep(string path, int capability)
    {
        byte[] library = File.ReadAllBytes(path);
        int containers = 0;
        long emptied = 0;
        for (int at = 0; at + HeaderLength <= library.Length; at += sizeof(long))
        {
            if (BinaryPrimitives.ReadUInt32LittleEndian(library.AsSpan(at)) != Magic || Length(library, at) is not { } length) continue;
            containers++;
            emptied += Empty(library.AsSpan(at, length), capability);
            at += length - length % sizeof(long) - sizeof(long);
        }
        if (containers == 0) throw new GpuCheckException($"{path} holds no kernels.");
        File.WriteAllBytes(path, library);
        return string.Create(CultureInfo.InvariantCulture, $"{containers} containers, {emptied / 1e6:F0} of {library.Length / 1e6:F0} MB emptied");
    }

    /// <summary>Of a container with its header; null where these bytes are none.</summary>
    private static int? Length(byte[] library, int at)
    {
        long length = BinaryPrimitives.ReadUInt16LittleEndian(library.AsSpan(at + 6)) + BinaryPrimitives.ReadInt64LittleEndian(library.AsSpan(at + 8));
        return length > HeaderLength && at + length <= library.Length ? (int)length : null;
    }

    private static long Empty(Span<byte> container, int capability)
    {
        var entries = new List<(int Start, int Length, bool Wanted)>();
        for (int at = BinaryPrimitives.ReadUInt16LittleEndian(container[6..]); at + CapabilityOffset + 4 <= container.Length;)
        {
            int kind = BinaryPrimitives.ReadUInt16LittleEndian(container[at..]), header = BinaryPrimitives.ReadInt32LittleEndian(container[(at + 4)..]);
            long payload = BinaryPrimitives.ReadInt64LittleEndian(container[(at + 8)..]);
            if (header <= 0 || payload < 0 || at + header + payload > container.Length) return 0;       // not as we know them
            entries.Add((at + header, (int)payload, kind == Machine && BinaryPrimitives.ReadInt32LittleEndian(container[(at + CapabilityOffset)..]) == capability));
            at += header + (int)payload;
        }
        if (!entries.Exists(e => e.Wanted)) return 0;
        foreach (var (start, length, _) in entries.Where(e => !e.Wanted)) container.Slice(start, length).Clear();
        return entries.Where(e => !e.Wanted).Sum(e => (long)e.Length);
    }
}
