namespace OnnxLlm.Benchmarks.Soak;

/// <summary>A name that stands for one of some folders in turn.</summary>
internal sealed class SwappedFolder : IDisposable
{
    private readonly IReadOnlyList<string> _folders;
    private int _current;

    public SwappedFolder(string path, IReadOnlyList<string> folders)
    {
        (Path, _folders) = (path, folders);
        Directory.CreateSymbolicLink(path, folders[0]);
    }

    public string Path { get; }

    /// <summary>From now on it is the next folder.</summary>
    public void Swap()
    {
        _current = (_current + 1) % _folders.Count;
        File.Delete(Path);      // the link, not the folder
        Directory.CreateSymbolicLink(Path, _folders[_current]);
    }

    /// <summary>Takes away the name, and leaves the folders.</summary>
    public void Dispose() => File.Delete(Path);
}
