using System.Security.Cryptography;
using OnnxLlm.Runtime;

namespace OnnxLlm.Training.Checkpoints;

/// <summary>
/// A folder that appears complete or not at all, and can tell whether it is still what was written. It is filled under a temporary
/// name, sealed with <c>SHA256SUMS</c> (the format of <c>sha256sum -c</c>), flushed, and renamed.
/// </summary>
internal static class SealedFolder
{
    public const string Seal = "SHA256SUMS";

    /// <summary>Temporary folders begin so; a process that finds one at start may delete it.</summary>
    public const string TemporaryPrefix = ".tmp-";

    /// <summary>
    /// Publishes <paramref name="path"/> with the files that <paramref name="write"/> puts into the folder it is given.
    /// <paramref name="before"/> is called with the name of each operation on the disk before it happens; tests fail or die there.
    /// </summary>
    public static void Publish(string path, Action<string> write, Action<string> before)
    {
        var parent = Path.GetDirectoryName(path)!;
        var temporary = Path.Combine(parent, TemporaryPrefix + Path.GetFileName(path));
        before("create");
        Delete(temporary);
        Directory.CreateDirectory(temporary);
        try
        {
            write(temporary);
            before("seal");
            File.WriteAllText(Path.Combine(temporary, Seal), Sums(temporary));
            Flush(temporary, before);
            Replace(temporary, path, before);
        }
        catch (Exception e) when (e is IOException or ModelRuntimeException)
        {
            Delete(temporary);          // a full disk: give back what we took
            throw;
        }
    }

    /// <summary>What is wrong with a published folder, or null where every file is as it was sealed.</summary>
    public static string? Defect(string path)
    {
        var seal = Path.Combine(path, Seal);
        if (!File.Exists(seal)) return $"{Seal} is missing";
        var unsealed = Directory.GetFiles(path).Select(Path.GetFileName).Where(name => name != Seal).ToHashSet();
        foreach (var line in File.ReadLines(seal))
        {
            if (line.Split("  ", 2) is not [var hash, var name] || name != Path.GetFileName(name)) return $"{Seal} is damaged";
            if (!unsealed.Remove(name)) return $"{name} is missing";
            if (Hash(Path.Combine(path, name)) != hash) return $"{name} is truncated or damaged (its SHA-256 differs)";
        }
        return unsealed.Count == 0 ? null : $"{Seal} does not know {unsealed.First()}";
    }

    /// <summary>Removes a folder such that a death half-way leaves no damaged one under its name.</summary>
    public static void Remove(string path, Action<string> before)
    {
        var doomed = Path.Combine(Path.GetDirectoryName(path)!, $"{TemporaryPrefix}old-{Path.GetFileName(path)}");
        Delete(doomed);
        before("retire");
        Directory.Move(path, doomed);
        before("delete");
        Delete(doomed);
    }

    private static string Sums(string folder) =>
        string.Concat(Directory.GetFiles(folder).Order(StringComparer.Ordinal).Select(file => $"{Hash(file)}  {Path.GetFileName(file)}\n"));

    private static void Flush(string folder, Action<string> before)
    {
        foreach (var file in Directory.GetFiles(folder))
        {
            before("flush " + Path.GetFileName(file));
            using var handle = File.OpenHandle(file, access: FileAccess.ReadWrite);
            RandomAccess.FlushToDisk(handle);
        }
        AtomicFile.FlushFolder(folder);
    }

    private static void Replace(string temporary, string path, Action<string> before)
    {
        if (Directory.Exists(path)) Remove(path, before);
        before("publish");
        Directory.Move(temporary, path);
        AtomicFile.FlushFolder(Path.GetDirectoryName(path)!);
    }

    private static string Hash(string file)
    {
        using var stream = File.OpenRead(file);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    private static void Delete(string folder)
    {
        if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
    }
}
