namespace OnnxLlm.Graphs.Artifacts;

/// <summary>Folders with a manifest, which appear complete or not at all.</summary>
internal static class ReplacedFolder
{
    /// <summary>Fills a new folder by <paramref name="write"/>, whose last step is the manifest, and only then puts it in the place of an older one.</summary>
    /// <param name="kind">What the folder is, such as "a model package".</param>
    public static T Write<T>(string folder, string kind, Func<string, T> write)
    {
        folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        RequireOurs(folder, kind);
        string partial = folder + ".partial", old = folder + ".old";
        Delete(partial);
        Directory.CreateDirectory(partial);
        var result = Filled(partial, write);

        Delete(old);
        if (Directory.Exists(folder)) Directory.Move(folder, old);
        Directory.Move(partial, folder);
        Delete(old);
        return result;
    }

    /// <summary>A folder that cannot be completed, on a full disk for one, does not stay.</summary>
    private static T Filled<T>(string partial, Func<string, T> write)
    {
        try
        {
            return write(partial);
        }
        catch
        {
            Delete(partial);
            throw;
        }
    }

    /// <summary>Nothing that we did not write is deleted.</summary>
    private static void RequireOurs(string folder, string kind)
    {
        if (File.Exists(folder)) throw new GraphException($"{folder} is a file; {kind} is a folder.");
        bool occupied = Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any();
        if (occupied && !File.Exists(Path.Combine(folder, ManifestFile.Name)))
            throw new GraphException($"{folder} holds something that is not {kind}; choose another folder.");
    }

    private static void Delete(string folder)
    {
        if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
    }
}
