// Rendered on the server for each request, so that the page shows which Node served it.
export function getServerSideProps() {
  return { props: { node: process.version, mode: process.env.NODE_ENV } };
}

export default function Home({ node, mode }) {
  return (
    <main>
      <h1>Built by kiln</h1>
      <p>
        Node {node}, {mode}
      </p>
    </main>
  );
}
